//! Whole vectors, as what their codes do not say of them: exact to the last bit, in some 19 bits a number instead of 32.
//!
//! A code tells which of 255 steps a number stands in. Floats are ordered like the integers that their bits make, so that a number
//! is its place among the floats of its step, and a step has as many as it is wide: 2^18 where it is far from zero, 2^24 near it.

use super::codes::Coded;

/// How far a number may lie beyond its step, by rounding.
const SLACK: i64 = 64;

/// The floats of a step: the first one's place in the order of all, and the bits that tell them apart.
#[derive(Clone, Copy, Default)]
struct Step {
    first: i64,
    width: u32,
}

/// Returns where a float stands in the order of all.
fn place(x: f32) -> i64 {
    let bits = x.to_bits();
    i64::from(if bits >> 31 == 0 { bits.cast_signed() } else { (bits ^ 0x7FFF_FFFF).cast_signed() })
}

/// Returns the float that stands there.
fn float(place: i64) -> Option<f32> {
    let bits = i32::try_from(place).ok()?.cast_unsigned();
    Some(f32::from_bits(if bits >> 31 == 0 { bits } else { bits ^ 0x7FFF_FFFF }))
}

/// Returns a number that a vector may have.
fn finite(x: f32) -> Option<f32> {
    x.is_finite().then_some(x)
}

/// Returns the step of each code, by the code's bits.
fn steps(scale: f32) -> [Step; 256] {
    let mut steps = [Step::default(); 256];
    for code in i8::MIN..=i8::MAX {
        let step = |half: f32| place((f32::from(code) + half) * scale);
        let (first, last) = (step(-0.5) - SLACK, step(0.5) + SLACK);
        let width = u64::BITS - (last - first).unsigned_abs().leading_zeros();
        if let Some(step) = steps.get_mut(usize::from(code.cast_unsigned())) {
            *step = Step { first, width };
        }
    }
    steps
}

fn step(steps: &[Step; 256], code: i8) -> Step {
    steps.get(usize::from(code.cast_unsigned())).copied().unwrap_or_default()
}

fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Writes a vector that has these codes; as it is, where that is not longer.
pub(super) fn pack(vector: &[f32], coded: Coded<'_>) -> Vec<u8> {
    let steps = steps(coded.scale);
    let mut out = Vec::with_capacity(vector.len() * 5 / 2);
    let (mut waiting, mut count) = (0_u64, 0);
    for (x, code) in vector.iter().zip(coded.codes) {
        let Step { first, width } = step(&steps, *code);
        let within = (place(*x) - first).cast_unsigned();
        if width > 32 || within >> width != 0 {
            return bytes(vector);
        }
        waiting |= within << count;
        count += width;
        while count >= 8 {
            out.push(waiting.to_le_bytes()[0]);
            waiting >>= 8;
            count -= 8;
        }
    }
    if count > 0 {
        out.push(waiting.to_le_bytes()[0]);
    }
    if out.len() < vector.len() * 4 { out } else { bytes(vector) }
}

/// Reads what [`pack`] wrote; nothing if it is not of these codes.
pub(super) fn unpack(bytes: &[u8], coded: Coded<'_>) -> Option<Vec<f32>> {
    if bytes.len() == coded.codes.len() * 4 {
        return bytes.as_chunks::<4>().0.iter().map(|x| finite(f32::from_le_bytes(*x))).collect();
    }
    let steps = steps(coded.scale);
    let mut vector = Vec::with_capacity(coded.codes.len());
    let (mut waiting, mut count) = (0_u64, 0);
    let mut rest = bytes.iter();
    for code in coded.codes {
        let Step { first, width } = step(&steps, *code);
        while count < width {
            waiting |= u64::from(*rest.next()?) << count;
            count += 8;
        }
        let within = waiting & ((1 << width) - 1);
        waiting >>= width;
        count -= width;
        vector.push(finite(float(first + within.cast_signed())?)?);
    }
    rest.next().is_none().then_some(vector)
}

#[cfg(test)]
mod tests {
    use super::super::codes::encode;
    use super::*;

    fn round_trip(vector: &[f32]) -> usize {
        let mut codes = Vec::new();
        let scale = encode(vector, &mut codes);
        let coded = Coded { codes: &codes, scale };
        let packed = pack(vector, coded);
        let read = unpack(&packed, coded).unwrap();
        let bits = |vector: &[f32]| vector.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&read), bits(vector));
        assert_eq!(unpack(packed.get(1..).unwrap_or_default(), coded).is_none(), !vector.is_empty());
        packed.len()
    }

    #[test]
    fn vectors_come_back_to_the_last_bit() {
        let mut random = fastrand::Rng::with_seed(11);
        for dimensions in [0, 1, 3, 8, 384, 1_000] {
            for _ in 0..50 {
                let vector: Vec<f32> = (0..dimensions).map(|_| random.f32() - 0.5).collect();
                round_trip(&vector);
                // over many orders of magnitude
                let wild = |_: usize| f32::from_bits(random.u32(..)).clamp(-1e30, 1e30);
                let wild: Vec<f32> = (0..dimensions).map(wild).filter(|x| !x.is_nan()).collect();
                round_trip(&wild);
            }
        }
        round_trip(&[0.0; 16]);
        round_trip(&[-0.0, 0.0, f32::MIN_POSITIVE, -1e-45, 1.0, -1.0, 0.5, 127.0 / 254.0]);
        round_trip(&[1e-45, -1e-45, 0.0]);
        round_trip(&[f32::MAX, f32::MIN, 1.0]);
    }

    #[test]
    fn foreign_bytes_and_codes_give_no_vector_or_a_finite_one() {
        let mut random = fastrand::Rng::with_seed(3);
        let scales =
            [0.0, -1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN_POSITIVE, 0.01];
        let (mut some, mut none) = (0, 0);
        for round in 0..20_000 {
            let codes: Vec<i8> = (0..random.usize(..20)).map(|_| random.i8(..)).collect();
            let bytes: Vec<u8> = (0..random.usize(..=codes.len() * 4)).map(|_| random.u8(..)).collect();
            let coded = Coded { codes: &codes, scale: scales[round % scales.len()] };
            match unpack(&bytes, coded) {
                Some(vector) => {
                    assert!(vector.len() == codes.len() && vector.iter().all(|x| x.is_finite()));
                    some += 1;
                }
                None => none += 1,
            }
        }
        assert!(some > 100 && none > 100, "{some} {none}");
        let coded = Coded { codes: &[1, 2], scale: 0.1 };
        assert_eq!(unpack(&bytes(&[0.1, f32::NAN]), coded), None);
    }

    #[test]
    fn most_of_a_vector_is_told_by_its_codes() {
        let mut random = fastrand::Rng::with_seed(5);
        let normal = |random: &mut fastrand::Rng| (0..12).map(|_| random.f32()).sum::<f32>() - 6.0;
        let vector: Vec<f32> = (0..384).map(|_| normal(&mut random)).collect();
        assert!(round_trip(&vector) < 384 * 4 * 62 / 100);
    }
}
