//! The checksum at the end of secrets: CRC-32 as in IEEE 802.3, reflected.
//!
//! Computed bit by bit and without a table: a secret is short, and no memory access depends on it.

const POLYNOMIAL: u32 = 0xEDB8_8320;

/// The checksum of the pieces, one after the other.
pub(crate) fn crc32(pieces: &[&[u8]]) -> u32 {
    let mut crc = u32::MAX;
    for byte in pieces.iter().copied().flatten() {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = (crc & 1).wrapping_neg();
            crc = (crc >> 1) ^ (POLYNOMIAL & carry);
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        assert_eq!(crc32(&[b"123456789"]), 0xCBF4_3926);
        assert_eq!(crc32(&[]), 0);
        assert_eq!(crc32(&[b"a"]), 0xE8B7_BE43);
        assert_eq!(crc32(&[&[0; 32]]), 0x190A_55AD);
        assert_eq!(crc32(&[&[0xff; 32]]), 0xFF6C_AB0B);
    }

    #[test]
    fn pieces_are_one_message() {
        assert_eq!(crc32(&[b"1234", b"", b"56789"]), 0xCBF4_3926);
    }
}
