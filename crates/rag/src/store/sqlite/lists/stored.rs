//! Lists as the file holds them.

use sqlx::{Row as _, SqliteConnection};

use super::centres::{Centres, DEPTHS, STEPS, Table};

/// What the file holds of a tenant's lists.
#[derive(Default)]
pub(in super::super) struct Stored {
    /// The generation of the centres, if there are any.
    pub(in super::super) centres: Option<(i64, Centres)>,
    /// The list of each vector of a segment, by the segment's number.
    pub(in super::super) of: Vec<(i64, Vec<u16>)>,
}

pub(in super::super) async fn read(
    connection: &mut SqliteConnection,
    tenant: i64,
    dimensions: usize,
) -> sqlx::Result<Stored> {
    let statement = "SELECT generation, data FROM pumasi_rag_centres WHERE tenant = ?";
    let Some(row) = sqlx::query(statement).bind(tenant).fetch_optional(&mut *connection).await? else {
        return Ok(Stored::default());
    };
    let damaged = || sqlx::Error::Decode("lists of the knowledge are damaged".into());
    let generation: i64 = row.try_get(0)?;
    let centres = centres(row.try_get(1)?, dimensions).ok_or_else(damaged)?;
    let statement = "SELECT segment, data FROM pumasi_rag_lists WHERE tenant = ? AND generation = ?";
    let rows = sqlx::query(statement).bind(tenant).bind(generation).fetch_all(connection).await?;
    let mut of = Vec::with_capacity(rows.len());
    for row in &rows {
        of.push((row.try_get(0)?, unpack(row.try_get(1)?).ok_or_else(damaged)?));
    }
    Ok(Stored { centres: Some((generation, centres)), of })
}

/// Writes centres in place of those that there were, whose lists go as well.
pub(in super::super) async fn put_centres(
    connection: &mut SqliteConnection,
    tenant: i64,
    generation: i64,
    centres: &Centres,
) -> sqlx::Result<()> {
    let statement = "DELETE FROM pumasi_rag_lists WHERE tenant = ?";
    sqlx::query(statement).bind(tenant).execute(&mut *connection).await?;
    let statement = "INSERT OR REPLACE INTO pumasi_rag_centres (tenant, generation, data) VALUES (?, ?, ?)";
    let query = sqlx::query(statement).bind(tenant).bind(generation).bind(centres_bytes(centres));
    query.execute(connection).await.map(drop)
}

pub(in super::super) async fn put_lists(
    connection: &mut SqliteConnection,
    tenant: i64,
    generation: i64,
    segment: i64,
    of: &[u16],
) -> sqlx::Result<()> {
    let statement =
        "INSERT OR REPLACE INTO pumasi_rag_lists (segment, tenant, generation, data) VALUES (?, ?, ?, ?)";
    let query = sqlx::query(statement).bind(segment).bind(tenant).bind(generation).bind(pack(of));
    query.execute(connection).await.map(drop)
}

/// Appends a checksum.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Takes the checksum away, if it is the right one.
fn opened(bytes: &[u8]) -> Option<&[u8]> {
    let (content, checksum) = bytes.split_last_chunk::<4>()?;
    (crc32fast::hash(content) == u32::from_le_bytes(*checksum)).then_some(content)
}

fn pack(of: &[u16]) -> Vec<u8> {
    sealed(of.iter().flat_map(|list| list.to_le_bytes()).collect())
}

fn unpack(bytes: &[u8]) -> Option<Vec<u16>> {
    let (lists, []) = opened(bytes)?.as_chunks::<2>() else { return None };
    Some(lists.iter().map(|list| u16::from_le_bytes(*list)).collect())
}

fn centres_bytes(centres: &Centres) -> Vec<u8> {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes();
    let mut out = centres.found_among.to_le_bytes().to_vec();
    out.extend(count(centres.regions.len()));
    out.extend(count(centres.centres.len()));
    for table in [&centres.regions, &centres.centres] {
        out.extend(table.codes.iter().map(|code| code.to_le_bytes()[0]));
        out.extend(table.scales.iter().flat_map(|scale| scale.to_le_bytes()));
    }
    out.extend(centres.firsts.iter().flat_map(|first| first.to_le_bytes()));
    out.extend(centres.reach.iter().flatten().flat_map(|lists| lists.to_le_bytes()));
    sealed(out)
}

/// Reads what [`centres_bytes`] wrote.
fn centres(bytes: &[u8], dimensions: usize) -> Option<Centres> {
    let (found_among, rest) = opened(bytes)?.split_first_chunk::<8>()?;
    let (regions, rest) = rest.split_first_chunk::<4>()?;
    let (centres, mut rest) = rest.split_first_chunk::<4>()?;
    let [regions, centres] = [regions, centres].map(|count| u32::from_le_bytes(*count) as usize);
    let regions = table(&mut rest, regions, dimensions)?;
    let centres = table(&mut rest, centres, dimensions)?;
    let firsts = numbers(&mut rest, regions.len().checked_add(1)?, u32::from_le_bytes)?;
    let mut reach: [Vec<u32>; DEPTHS.len()] = std::array::from_fn(|_| Vec::new());
    for steps in &mut reach {
        *steps = numbers(&mut rest, STEPS + 1, u32::from_le_bytes)?;
    }
    let found_among = u64::from_le_bytes(*found_among);
    rest.is_empty().then_some(Centres { found_among, regions, firsts, centres, reach })
}

fn table(rest: &mut &[u8], count: usize, dimensions: usize) -> Option<Table> {
    let (codes, later) = rest.split_at_checked(count.checked_mul(dimensions)?)?;
    *rest = later;
    let codes = codes.iter().map(|code| i8::from_le_bytes([*code])).collect();
    Some(Table { codes, scales: numbers(rest, count, f32::from_le_bytes)? })
}

fn numbers<T>(rest: &mut &[u8], count: usize, read: impl Fn([u8; 4]) -> T) -> Option<Vec<T>> {
    let (numbers, later) = rest.split_at_checked(count.checked_mul(4)?)?;
    *rest = later;
    Some(numbers.as_chunks::<4>().0.iter().map(|number| read(*number)).collect())
}

#[cfg(test)]
mod tests {
    use super::super::train::tests::clustered;
    use super::*;

    #[test]
    fn lists_come_back_and_damage_is_noticed() {
        let of = vec![0, 1, 7, u16::MAX, 0];
        assert_eq!(unpack(&pack(&of)), Some(of));
        let (centres, _) = clustered(2_000, 8, 1);
        let bytes = centres_bytes(&centres);
        assert_eq!(super::centres(&bytes, 8), Some(centres));
        assert_eq!(super::centres(&bytes, 9), None);
        for at in (0..bytes.len()).step_by(7) {
            let mut broken = bytes.clone();
            broken[at] ^= 0x10;
            assert_eq!(super::centres(&broken, 8), None, "{at}");
            assert_eq!(super::centres(bytes.get(..at).unwrap(), 8), None, "{at}");
        }
    }
}
