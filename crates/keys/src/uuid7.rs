//! Ids that sort by the moment they carry (RFC 9562 §5.7).

use uuid::{Builder, Uuid};

use crate::{Entropy, EntropyError};

/// A UUIDv7 of this Unix time in milliseconds; the other 74 bits are random.
///
/// The format has 48 bits for the time, enough until the year 10889; higher bits are dropped.
pub fn uuid_v7(unix_millis: u64, entropy: &dyn Entropy) -> Result<Uuid, EntropyError> {
    let mut random = [0u8; 10];
    entropy.fill(&mut random)?;
    Ok(Builder::from_unix_timestamp_millis(unix_millis, &random).into_uuid())
}

/// The Unix time in milliseconds that a UUIDv7 carries. Of any other version it is meaningless.
pub fn uuid_v7_millis(id: Uuid) -> u64 {
    let (high, _) = id.as_u64_pair();
    high >> 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_entropy::{BrokenEntropy, ConstantEntropy, CountingEntropy};

    const LAST_MILLISECOND: u64 = (1 << 48) - 1;

    #[test]
    fn rfc9562_5_7_version_variant_and_time_are_in_their_places() {
        for byte in [0x00, 0xff] {
            let id = uuid_v7(0x017F_22E2_79B0, &ConstantEntropy::new(byte)).unwrap();
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
            assert!(id.to_string().starts_with("017f22e2-79b0-7"), "{id}");
        }
    }

    #[test]
    fn the_time_comes_back() {
        let entropy = CountingEntropy::default();
        for millis in [0, 1, 1_700_000_000_123, LAST_MILLISECOND] {
            assert_eq!(uuid_v7_millis(uuid_v7(millis, &entropy).unwrap()), millis);
        }
    }

    #[test]
    fn a_time_beyond_48_bits_leaves_the_version_intact() {
        let id = uuid_v7(u64::MAX, &ConstantEntropy::new(0)).unwrap();
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(uuid_v7_millis(id), LAST_MILLISECOND);
    }

    #[test]
    fn a_later_id_sorts_after_an_earlier_one_whatever_the_random_part() {
        let earlier = uuid_v7(1_000, &ConstantEntropy::new(0xff)).unwrap();
        let later = uuid_v7(1_001, &ConstantEntropy::new(0x00)).unwrap();
        assert!(earlier < later);
    }

    #[test]
    fn ids_of_one_millisecond_differ() {
        let entropy = CountingEntropy::default();
        assert_ne!(uuid_v7(5, &entropy), uuid_v7(5, &entropy));
    }

    #[test]
    fn without_randomness_there_is_no_id() {
        assert_eq!(uuid_v7(5, &BrokenEntropy::default()), Err(EntropyError));
    }
}
