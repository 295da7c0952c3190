//! Texts, packed by DEFLATE (RFC 1951), with their length and a checksum.

/// From so many bytes on, a text is packed.
const LONG: usize = 256;

/// The most bytes that a packed text may have.
const LONGEST: usize = 1 << 30;

/// How many times as long as its packed bytes a text is at most: two bits tell of 258 bytes.
const FOLD: usize = 1_032;

/// Packs a text; nothing if that is not shorter.
pub(super) fn pack(text: &str) -> Option<Vec<u8>> {
    let length = u32::try_from(text.len()).ok().filter(|_| (LONG..LONGEST).contains(&text.len()))?;
    let mut out = length.to_le_bytes().to_vec();
    out.extend(crc32fast::hash(text.as_bytes()).to_le_bytes());
    out.extend(miniz_oxide::deflate::compress_to_vec(text.as_bytes(), 6));
    (out.len() < text.len()).then_some(out)
}

/// Reads what [`pack`] wrote; nothing if it is damaged. No more room is taken than `bytes` can be unpacked to.
pub(super) fn unpack(bytes: &[u8]) -> Option<String> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, packed) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    if length >= LONGEST || length.div_ceil(FOLD) > packed.len() {
        return None;
    }
    let text = miniz_oxide::inflate::decompress_to_vec_with_limit(packed, length).ok()?;
    if text.len() != length || crc32fast::hash(&text) != u32::from_le_bytes(*checksum) {
        return None;
    }
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        let lines: Vec<String> =
            (0..40).map(|n| format!("{n}번째 문장은 달리기를 말합니다. Run {n}.\n")).collect();
        lines.concat()
    }

    #[test]
    fn texts_come_back_and_short_ones_are_not_packed() {
        let text = text();
        let packed = pack(&text).unwrap();
        assert!(packed.len() * 2 < text.len());
        assert_eq!(unpack(&packed), Some(text));
        assert_eq!(pack(&"가".repeat(LONG / 3)), None);
        // as far as it can be packed at all
        let same = "a".repeat(2_000_000);
        let packed = pack(&same).unwrap();
        assert!(packed.len() < 3_000);
        assert_eq!(unpack(&packed), Some(same));
    }

    #[test]
    fn damage_is_noticed_wherever_it_is() {
        let text = text();
        let packed = pack(&text).unwrap();
        for at in 0..packed.len() {
            for bit in 0..8 {
                let mut broken = packed.clone();
                broken[at] ^= 1 << bit;
                // the last byte has bits that say nothing
                assert!(
                    unpack(&broken).is_none_or(|read| read == text && at == packed.len() - 1),
                    "{at} {bit}"
                );
            }
            assert_eq!(unpack(packed.get(..at).unwrap()), None, "{at}");
        }
    }

    #[test]
    fn a_length_that_lies_is_noticed() {
        let packed = pack(&text()).unwrap();
        let length = u32::from_le_bytes(*packed.first_chunk().unwrap());
        for lie in [0, 1, length - 1, length + 1, length * 2, 1 << 29, u32::MAX] {
            let mut broken = packed.clone();
            broken[..4].copy_from_slice(&lie.to_le_bytes());
            assert_eq!(unpack(&broken), None, "{lie}");
        }
        // what unpacks to more than it says
        let mut broken = pack(&"a".repeat(2_000_000)).unwrap();
        broken[..4].copy_from_slice(&1_000_u32.to_le_bytes());
        assert_eq!(unpack(&broken), None);
    }
}
