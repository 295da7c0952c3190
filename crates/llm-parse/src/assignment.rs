//! Pairing two sides for the greatest total, where few of the pairs may be made.
//!
//! Successive shortest paths with potentials (Edmonds and Karp, 1972; Tomizawa, 1971), on the pairs that exist instead of
//! a full matrix: O(rows × pairs × log) at worst, and far less where a free partner is near.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// One side's member that is being looked for.
#[derive(Clone, Debug, Default)]
struct Column {
    row: Option<usize>,
    potential: i64,
    distance: Option<i64>,
    from: usize,
    settled: bool,
}

/// Finds a partner for rows so that the sum of the weights is the greatest; each column is the partner of one row at most.
///
/// `rows` holds, per row, the columns that may be its partner, with weights of which only positive ones count. A row may
/// stay alone. Equal input gives equal output.
pub(crate) fn assign(rows: &[Vec<(usize, i64)>], columns: usize) -> Vec<Option<usize>> {
    let most = rows.iter().flatten().map(|pair| pair.1).max().unwrap_or(0).max(0);
    // Behind the columns, one per row stands for staying alone.
    let mut sides = vec![Column::default(); columns + rows.len()];
    let mut potentials = vec![0_i64; rows.len()];
    let mut partners: Vec<Option<usize>> = vec![None; rows.len()];
    let mut touched = Vec::new();
    for row in 0..rows.len() {
        let found = nearest(rows, columns, most, row, &mut sides, &potentials, &mut touched);
        let Some((end, total, settled)) = found else { continue };
        for column in settled {
            let Some(side) = sides.get_mut(column) else { continue };
            let change = total - side.distance.unwrap_or(total);
            side.potential -= change;
            if let Some(potential) = side.row.and_then(|row| potentials.get_mut(row)) {
                *potential += change;
            }
        }
        if let Some(potential) = potentials.get_mut(row) {
            *potential += total;
        }
        // Each row on the way takes the column that it was reached from.
        let mut column = end;
        while let Some(side) = sides.get_mut(column) {
            let owner = side.from;
            side.row = Some(owner);
            let before = partners.get_mut(owner).and_then(|partner| partner.replace(column));
            match before {
                Some(before) if owner != row => column = before,
                _ => break,
            }
        }
    }
    partners.into_iter().map(|partner| partner.filter(|column| *column < columns)).collect()
}

/// Finds the nearest free column from `row`: itself, how far it is, and the taken columns that were passed.
fn nearest(
    rows: &[Vec<(usize, i64)>],
    columns: usize,
    most: i64,
    row: usize,
    sides: &mut [Column],
    potentials: &[i64],
    touched: &mut Vec<usize>,
) -> Option<(usize, i64, Vec<usize>)> {
    for column in touched.drain(..) {
        if let Some(side) = sides.get_mut(column) {
            side.distance = None;
            side.settled = false;
        }
    }
    let mut heap = BinaryHeap::new();
    let mut passed = Vec::new();
    let (mut current, mut base) = (row, 0_i64);
    loop {
        let alone = (columns + current, 0);
        let own = potentials.get(current).copied().unwrap_or(0);
        for (column, weight) in rows.get(current)?.iter().copied().filter(|pair| pair.1 > 0).chain([alone]) {
            let Some(side) = sides.get_mut(column) else { continue };
            let distance = base + (most - weight) - own - side.potential;
            if !side.settled && side.distance.is_none_or(|known| distance < known) {
                if side.distance.replace(distance).is_none() {
                    touched.push(column);
                }
                side.from = current;
                heap.push(Reverse((distance, side.row.is_some(), column)));
            }
        }
        loop {
            let Reverse((distance, _, column)) = heap.pop()?;
            let Some(side) = sides.get_mut(column) else { continue };
            if side.settled || side.distance != Some(distance) {
                continue;
            }
            side.settled = true;
            match side.row {
                None => return Some((column, distance, passed)),
                Some(owner) => {
                    passed.push(column);
                    (current, base) = (owner, distance);
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pathfinding::kuhn_munkres::kuhn_munkres;
    use pathfinding::matrix::Matrix;
    use proptest::prelude::*;

    use super::assign;

    fn total(rows: &[Vec<(usize, i64)>], partners: &[Option<usize>]) -> i64 {
        let weight = |(row, partner): (&Vec<(usize, i64)>, &Option<usize>)| {
            partner.and_then(|column| row.iter().find(|pair| pair.0 == column)).map_or(0, |pair| pair.1)
        };
        rows.iter().zip(partners).map(weight).sum()
    }

    proptest! {
        #[test]
        fn the_total_is_that_of_the_full_matrix(
            table in (1_usize..9, 1_usize..9).prop_flat_map(|(rows, columns)| {
                proptest::collection::vec(proptest::collection::vec(0_i64..6, columns), rows)
            })
        ) {
            let columns = table[0].len();
            let rows: Vec<Vec<(usize, i64)>> = table
                .iter()
                .map(|row| row.iter().copied().enumerate().filter(|pair| pair.1 > 0).collect())
                .collect();
            let partners = assign(&rows, columns);
            let mut taken: Vec<usize> = partners.iter().flatten().copied().collect();
            let count = taken.len();
            taken.sort_unstable();
            taken.dedup();
            prop_assert_eq!(taken.len(), count);
            let full = table.iter().map(|row| {
                let mut row = row.clone();
                row.resize(columns + table.len(), 0);
                row
            });
            let (best, _) = kuhn_munkres(&Matrix::from_rows(full).unwrap());
            prop_assert_eq!(total(&rows, &partners), best);
        }
    }

    #[test]
    fn many_to_many_is_paired_in_time() {
        // 1,200 rows that all may have the same 64 columns, and 1,200 that may have any of 64 near them.
        let same = vec![(0..64).map(|column| (column, 500)).collect::<Vec<_>>(); 1200];
        assert_eq!(assign(&same, 64).into_iter().flatten().count(), 64);
        let near: Vec<Vec<(usize, i64)>> = (0..1200_i64)
            .map(|row| {
                (0..64)
                    .map(|at| {
                        (usize::try_from((row + at * 7) % 1200).unwrap_or(0), 1 + (row * 31 + at * 17) % 97)
                    })
                    .collect()
            })
            .collect();
        assert!(assign(&near, 1200).into_iter().flatten().count() > 1100);
    }
}
