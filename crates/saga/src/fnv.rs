//! FNV-1a (<http://www.isthe.com/chongo/tech/comp/fnv/>), byte by byte: for sums that are kept, and the same wherever they are made.

pub(crate) const START_32: u32 = 0x811c_9dc5;
pub(crate) const START_64: u64 = 0xcbf2_9ce4_8422_2325;

pub(crate) fn eat_32(sum: u32, byte: u8) -> u32 {
    (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
}

pub(crate) fn eat_64(sum: u64, byte: u8) -> u64 {
    (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_those_of_the_published_vectors() {
        let sums = |text: &str| (text.bytes().fold(START_32, eat_32), text.bytes().fold(START_64, eat_64));
        assert_eq!(sums(""), (0x811c_9dc5, 0xcbf2_9ce4_8422_2325));
        assert_eq!(sums("a"), (0xe40c_292c, 0xaf63_dc4c_8601_ec8c));
        assert_eq!(sums("foobar"), (0xbf9c_f968, 0x8594_4171_f739_67e8));
    }
}
