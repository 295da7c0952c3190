//! Numbers, texts and frames as bytes.

use std::sync::Arc;

use pumasi_core::time::Timestamp;

/// The longest text or payload that is believed, in bytes.
const MAX_BYTES: u64 = 16 << 20;

pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// LEB128: seven bits a byte, the lowest first.
    pub(crate) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push((number & 0x7f) as u8);
    }

    pub(crate) fn length(&mut self, length: usize) {
        self.number(length as u64);
    }

    pub(crate) fn time(&mut self, at: Timestamp) {
        // zigzag, so that moments before 1970 stay short, too
        let micros = at.as_micros();
        self.number(micros.wrapping_shl(1).cast_unsigned() ^ micros.wrapping_shr(63).cast_unsigned());
    }

    pub(crate) fn moment(&mut self, at: Option<Timestamp>) {
        self.byte(u8::from(at.is_some()));
        if let Some(at) = at {
            self.time(at);
        }
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    #[cfg(any(feature = "embedded", feature = "redis"))]
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// What is wrong with a record; never what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// It breaks off.
    Short,
    /// Its checksum is another one.
    Checksum,
    /// It says something that no record says.
    Nonsense,
    /// Its number does not follow the one before.
    Gap,
    /// Newer code wrote it.
    Newer,
}

impl Damage {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Short => "it breaks off",
            Self::Checksum => "its checksum does not match",
            Self::Nonsense => "it says what no record says",
            Self::Gap => "records are missing",
            Self::Newer => "newer code wrote it",
        }
    }
}

pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Damage> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Damage::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Damage> {
        let (byte, rest) = self.0.split_first().ok_or(Damage::Short)?;
        self.0 = rest;
        Ok(*byte)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Damage> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Damage::Nonsense);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Damage::Nonsense)
    }

    pub(crate) fn small(&mut self) -> Result<u32, Damage> {
        u32::try_from(self.number()?).map_err(|_| Damage::Nonsense)
    }

    /// Reads a count of things that take at least a byte each.
    pub(crate) fn count(&mut self) -> Result<usize, Damage> {
        let count = usize::try_from(self.number()?).map_err(|_| Damage::Nonsense)?;
        if count > self.0.len() { Err(Damage::Short) } else { Ok(count) }
    }

    pub(crate) fn index(&mut self, below: usize) -> Result<usize, Damage> {
        let index = usize::try_from(self.number()?).map_err(|_| Damage::Nonsense)?;
        if index < below { Ok(index) } else { Err(Damage::Nonsense) }
    }

    pub(crate) fn time(&mut self) -> Result<Timestamp, Damage> {
        let coded = self.number()?;
        let micros = (coded >> 1).cast_signed() ^ -((coded & 1).cast_signed());
        Ok(Timestamp::from_micros(micros))
    }

    pub(crate) fn moment(&mut self) -> Result<Option<Timestamp>, Damage> {
        match self.byte()? {
            0 => Ok(None),
            1 => self.time().map(Some),
            _ => Err(Damage::Nonsense),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Damage> {
        let length = self.number()?;
        if length > MAX_BYTES {
            return Err(Damage::Nonsense);
        }
        self.take(usize::try_from(length).map_err(|_| Damage::Nonsense)?)
    }

    pub(crate) fn text(&mut self) -> Result<Arc<str>, Damage> {
        std::str::from_utf8(self.bytes()?).map(Arc::from).map_err(|_| Damage::Nonsense)
    }
}

/// Puts length and checksum before a body.
pub(crate) fn frame(body: &[u8]) -> Vec<u8> {
    let mut framed = Writer::with_capacity(body.len() + 8);
    framed.length(body.len());
    framed.0.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    framed.0.extend_from_slice(body);
    framed.0
}

/// Takes the first body off a log.
pub(crate) fn unframe<'a>(log: &mut Reader<'a>) -> Result<&'a [u8], Damage> {
    let length = log.number()?;
    if length > MAX_BYTES {
        return Err(Damage::Nonsense);
    }
    let sum: [u8; 4] = log.take(4)?.try_into().map_err(|_| Damage::Short)?;
    let body = log.take(usize::try_from(length).map_err(|_| Damage::Nonsense)?)?;
    if crc32fast::hash(body) == u32::from_le_bytes(sum) { Ok(body) } else { Err(Damage::Checksum) }
}
