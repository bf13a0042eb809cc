//! The ids of events: those that one process makes go up, also within a millisecond.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use grantor_keys::{Entropy, EntropyError, uuid_v7, uuid_v7_millis};
use uuid::Uuid;

/// Remembers the last id that was drawn.
#[derive(Debug, Default)]
pub(crate) struct EventIds(Mutex<Uuid>);

impl EventIds {
    /// Draws ids that follow one another, for the events of one change at this time.
    ///
    /// They come after all that were drawn before for the same millisecond. An earlier time gets ids of its
    /// own, for the time in an id is the event's.
    pub(crate) fn draw(
        &self,
        at: DateTime<Utc>,
        count: usize,
        entropy: &dyn Entropy,
    ) -> Result<Vec<Uuid>, EntropyError> {
        let millis = u64::try_from(at.timestamp_millis()).unwrap_or_default();
        let fresh = uuid_v7(millis, entropy)?;
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = if uuid_v7_millis(*last) == uuid_v7_millis(fresh) {
            fresh.max(after(*last, 1))
        } else {
            fresh
        };
        // The random part has 2^62 values in its last field: it is not used up.
        let ids: Vec<Uuid> = (0..).take(count).map(|place| after(first, place)).collect();
        if let Some(newest) = ids.last() {
            *last = (*newest).max(*last);
        }
        Ok(ids)
    }
}

fn after(id: Uuid, places: u128) -> Uuid {
    Uuid::from_u128(id.as_u128().wrapping_add(places))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use grantor_test_support::SeededEntropy;

    #[test]
    fn ids_of_one_millisecond_go_up_whoever_draws_them() {
        let (ids, entropy) = (EventIds::default(), SeededEntropy::new(1));
        let at = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let mut drawn: Vec<Uuid> = Vec::new();
        for count in [1, 3, 0, 2, 50, 1, 1, 1] {
            let at = at + TimeDelta::microseconds(i64::try_from(drawn.len()).unwrap());
            drawn.extend(ids.draw(at, count, &entropy).unwrap());
        }
        assert_eq!(drawn.len(), 59);
        assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]), "{drawn:?}");
        assert!(drawn.iter().all(|id| id.get_version_num() == 7));
    }

    #[test]
    fn the_time_in_an_id_is_the_events_also_when_it_comes_late() {
        let (ids, entropy) = (EventIds::default(), SeededEntropy::new(1));
        let at = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let millis = |at| uuid_v7_millis(ids.draw(at, 1, &entropy).unwrap()[0]);
        let later = at + TimeDelta::seconds(5);
        assert_eq!(millis(later), millis(at) + 5_000);
        let late = ids.draw(at, 2, &entropy).unwrap();
        assert!(late[0] < late[1]);
    }

    #[test]
    fn threads_draw_different_ids() {
        let (ids, entropy) = (EventIds::default(), SeededEntropy::new(1));
        let mut drawn: Vec<Uuid> = std::thread::scope(|scope| {
            let drawing: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let mut own: Vec<Uuid> = Vec::new();
                        for _ in 0..100 {
                            own.extend(ids.draw(DateTime::UNIX_EPOCH, 2, &entropy).unwrap());
                        }
                        assert!(own.windows(2).all(|pair| pair[0] < pair[1]));
                        own
                    })
                })
                .collect();
            drawing
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect()
        });
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), 1_600);
    }
}
