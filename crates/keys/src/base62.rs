//! Base62 of a fixed width: a big-endian number in the digits `0-9A-Za-z`, zeros kept.
//!
//! Digits are computed, not looked up, so that no memory access depends on a secret.

use zeroize::Zeroizing;

/// Why digits are not a number of the wanted size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecodeError {
    Alphabet,
    Range,
}

/// Writes `number` in exactly `WIDTH` digits, which the caller chose wide enough.
pub(crate) fn encode<const WIDTH: usize>(number: &[u8]) -> Zeroizing<[u8; WIDTH]> {
    let mut number = Zeroizing::new(number.to_vec());
    let mut digits = Zeroizing::new([0u8; WIDTH]);
    for digit in digits.iter_mut().rev() {
        *digit = to_digit(divide_by_62(&mut number));
    }
    digits
}

/// Reads digits as a number of `SIZE` bytes.
pub(crate) fn decode<const SIZE: usize>(
    digits: &[u8],
) -> Result<Zeroizing<[u8; SIZE]>, DecodeError> {
    let mut number = Zeroizing::new([0u8; SIZE]);
    for digit in digits {
        let mut carry = u16::from(from_digit(*digit).ok_or(DecodeError::Alphabet)?);
        for byte in number.iter_mut().rev() {
            let [high, low] = (u16::from(*byte) * 62 + carry).to_be_bytes();
            *byte = low;
            carry = u16::from(high);
        }
        if carry != 0 {
            return Err(DecodeError::Range);
        }
    }
    Ok(number)
}

/// Long division in place; returns the remainder.
fn divide_by_62(number: &mut [u8]) -> u8 {
    let mut remainder = 0u16;
    for byte in number {
        let dividend = (remainder << 8) | u16::from(*byte);
        // The remainder before was below 62, so the quotient fits a byte.
        let [_, quotient] = (dividend / 62).to_be_bytes();
        *byte = quotient;
        remainder = dividend % 62;
    }
    let [_, remainder] = remainder.to_be_bytes();
    remainder
}

fn to_digit(value: u8) -> u8 {
    match value {
        0..=9 => b'0' + value,
        10..=35 => b'A' + (value - 10),
        _ => b'a' + (value - 36),
    }
}

fn from_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'Z' => Some(digit - b'A' + 10),
        b'a'..=b'z' => Some(digit - b'a' + 36),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entropy, test_entropy::CountingEntropy};

    #[test]
    fn every_digit_comes_back() {
        for value in 0..62 {
            assert_eq!(from_digit(to_digit(value)), Some(value));
        }
        let alphabet: Vec<u8> = (0..62).map(to_digit).collect();
        assert_eq!(
            alphabet,
            b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        );
    }

    #[test]
    fn only_the_alphabet_is_read() {
        for byte in 0..=u8::MAX {
            assert_eq!(from_digit(byte).is_some(), byte.is_ascii_alphanumeric());
        }
    }

    #[test]
    fn known_answers() {
        assert_eq!(encode::<6>(&[0, 0, 0, 61]).as_slice(), b"00000z");
        assert_eq!(encode::<6>(&[0, 0, 0, 62]).as_slice(), b"000010");
        assert_eq!(encode::<6>(&u32::MAX.to_be_bytes()).as_slice(), b"4gfFC3");
        assert_eq!(encode::<43>(&[0; 32]).as_slice(), [b'0'; 43]);
        assert_eq!(
            encode::<43>(&[0xff; 32]).as_slice(),
            b"yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1"
        );
    }

    #[test]
    fn edge_values_come_back() {
        let mut high_bit = [0; 32];
        high_bit[0] = 0x80;
        let mut one = [0; 32];
        one[31] = 1;
        for number in [[0x00; 32], [0xff; 32], high_bit, one] {
            assert_eq!(
                *decode::<32>(encode::<43>(&number).as_slice()).unwrap(),
                number
            );
        }
    }

    #[test]
    fn many_values_come_back() {
        let entropy = CountingEntropy::default();
        for _ in 0..200 {
            let mut number = [0u8; 32];
            entropy.fill(&mut number).unwrap();
            assert_eq!(
                *decode::<32>(encode::<43>(&number).as_slice()).unwrap(),
                number
            );
        }
    }

    #[test]
    fn a_number_beyond_the_size_is_refused() {
        assert_eq!(decode::<32>(&[b'z'; 43]).unwrap_err(), DecodeError::Range);
        let mut next = *encode::<43>(&[0xff; 32]);
        // The last digit of 2^256 - 1 is below `z`, so the next number has the next digit.
        next[42] += 1;
        assert_eq!(decode::<32>(&next).unwrap_err(), DecodeError::Range);
    }
}
