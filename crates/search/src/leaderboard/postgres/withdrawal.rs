//! A record is taken back.

use super::{
    Board, Changed, Mark, MemberId, OpenWindows, PostgresBoards, Record, Result, Withdrawn, check_name,
    keeping, standings, window, write,
};
use crate::leaderboard::withdrawal::{Stored, withdraw};
use pumasi_core::time::Timestamp;

impl PostgresBoards {
    pub(super) async fn take_back<M: MemberId>(
        &self,
        board: &Board,
        name: &str,
        (member, source): (&M, &str),
        open: &OpenWindows,
    ) -> Result<Withdrawn> {
        check_name("window", name)?;
        Record::new(member.clone(), source, Timestamp::MIN).check()?;
        let (mut transaction, no) = self.writing(board).await?;
        let find = "SELECT kept.name FROM pumasi_board_mark AS mark JOIN pumasi_board_window AS kept ON kept.no = mark.\"window\" \
                    WHERE mark.board = $1 AND mark.scope = 0 AND mark.member = $2 AND mark.name = $3";
        let counted: Option<String> = sqlx::query_scalar(find)
            .bind(no)
            .bind(member.to_bytes())
            .bind(Mark::of_board(source).name)
            .fetch_optional(&mut *transaction)
            .await
            .map_err(keeping)?;
        let here = counted.as_deref().unwrap_or(name);
        let (window, closed) = window(&mut transaction, no, here).await?;
        let found = standings(&mut transaction, board.rules(), window, std::slice::from_ref(member)).await?;
        let read = "SELECT name FROM pumasi_board_mark WHERE board = $1 AND scope = $2 AND member = $3";
        let marks: Vec<String> = sqlx::query_scalar(read)
            .bind(no)
            .bind(window)
            .bind(member.to_bytes())
            .fetch_all(&mut *transaction)
            .await
            .map_err(keeping)?;
        let stored = Stored {
            counted: counted.is_some(),
            over: closed || counted.is_some() && !open.contains(here),
            standing: found.into_iter().next().map(|(_, standing)| standing),
            marks: marks.into_iter().map(|name| Mark { of_board: false, name }).collect(),
        };
        let undone = withdraw(board, member, source, &stored)?;
        let delete = "DELETE FROM pumasi_board_mark \
                      WHERE board = $1 AND scope = $2 AND member = $3 AND name = ANY ($4::text[])";
        sqlx::query(delete)
            .bind(no)
            .bind(window)
            .bind(member.to_bytes())
            .bind(undone.gone.into_iter().map(|mark| mark.name).collect::<Vec<_>>())
            .execute(&mut *transaction)
            .await
            .map_err(keeping)?;
        let changed: Vec<Changed<M>> = undone.changed.into_iter().collect();
        write(&mut transaction, (no, window), board.rules(), &changed, &undone.new).await?;
        transaction.commit().await.map_err(keeping)?;
        Ok(undone.answer)
    }
}
