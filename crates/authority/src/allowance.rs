//! How often a no is confirmed: each costs a load, and nobody may have the database loaded without end.
//!
//! By the generic cell rate algorithm: of each key only the time is kept at which all it may have is there again. Keys
//! that have all they may have need no place; when the table is full of others, new keys go by without a count.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use grantor_domain::ids::TenantId;

/// How many keys are kept of each kind.
const MOST: usize = 100_000;
/// What all from one address may have at once, and how fast it comes back.
const PER_ADDRESS: Rate = Rate {
    at_once: 600,
    each: Duration::from_millis(20),
};
/// The same for what is said to be one client.
const PER_CLIENT: Rate = Rate {
    at_once: 300,
    each: Duration::from_millis(50),
};

#[derive(Debug, Clone, Copy)]
struct Rate {
    at_once: u32,
    each: Duration,
}

/// A budget that is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spent {
    /// When there is something again.
    pub(crate) retry_after: Duration,
}

/// Counts confirmations. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Confirmations {
    begun: Instant,
    addresses: Arc<Mutex<Budgets<IpAddr>>>,
    clients: Arc<Mutex<Budgets<(TenantId, String)>>>,
}

impl Default for Confirmations {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            addresses: Arc::new(Mutex::new(Budgets::new(PER_ADDRESS))),
            clients: Arc::new(Mutex::new(Budgets::new(PER_CLIENT))),
        }
    }
}

/// One that was taken.
pub(crate) struct Taken<'c> {
    confirmations: &'c Confirmations,
    address: Option<IpAddr>,
    client: (TenantId, String),
}

impl Confirmations {
    /// Takes one from the budgets of an address and of whom it says to be.
    pub(crate) fn take(
        &self,
        address: Option<IpAddr>,
        tenant: TenantId,
        client: &str,
    ) -> Result<Taken<'_>, Spent> {
        let now = self.begun.elapsed();
        let address = address.map(network);
        if let Some(address) = address {
            locked(&self.addresses).take(address, now)?;
        }
        // Nobody's id is longer, and a long text is not worth the memory.
        let client = (tenant, client.chars().take(40).collect::<String>());
        let taken = Taken {
            confirmations: self,
            address,
            client,
        };
        match locked(&self.clients).take(taken.client.clone(), now) {
            Ok(()) => Ok(taken),
            Err(spent) => {
                if let Some(address) = address {
                    locked(&self.addresses).give_back(&address);
                }
                Err(spent)
            }
        }
    }
}

/// Whose budget an address counts for. Of IPv6 it is the /64: that much each customer of a provider has to themselves.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Taken<'_> {
    /// Gives it back: it was no no after all.
    pub(crate) fn give_back(self) {
        if let Some(address) = self.address {
            locked(&self.confirmations.addresses).give_back(&address);
        }
        locked(&self.confirmations.clients).give_back(&self.client);
    }
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks panics half-way: whatever they hold is whole.
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Budgets<K> {
    rate: Rate,
    /// When the budget of each is whole again, since the beginning.
    whole_at: HashMap<K, Duration>,
}

impl<K: Eq + Hash> Budgets<K> {
    fn new(rate: Rate) -> Self {
        Self {
            rate,
            whole_at: HashMap::new(),
        }
    }

    fn take(&mut self, key: K, now: Duration) -> Result<(), Spent> {
        if self.whole_at.len() >= MOST && !self.whole_at.contains_key(&key) {
            self.whole_at.retain(|_, whole_at| *whole_at > now);
            if self.whole_at.len() >= MOST {
                return Ok(());
            }
        }
        let whole = self.rate.each * self.rate.at_once;
        let known = self.whole_at.entry(key).or_insert(now);
        let whole_at = (*known).max(now) + self.rate.each;
        match whole_at.checked_sub(now + whole) {
            None | Some(Duration::ZERO) => {
                *known = whole_at;
                Ok(())
            }
            Some(retry_after) => Err(Spent { retry_after }),
        }
    }

    fn give_back(&mut self, key: &K) {
        if let Some(whole_at) = self.whole_at.get_mut(key) {
            *whole_at = whole_at.saturating_sub(self.rate.each);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        at_once: 3,
        each: Duration::from_secs(1),
    };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1_000 + seconds)
    }

    #[test]
    fn so_many_at_once_and_then_as_fast_as_they_come_back() {
        let mut budgets = Budgets::new(RATE);
        for _ in 0..3 {
            assert_eq!(budgets.take("a", at(0)), Ok(()));
        }
        let retry_after = Duration::from_secs(1);
        assert_eq!(budgets.take("a", at(0)), Err(Spent { retry_after }));
        assert_eq!(budgets.take("b", at(0)), Ok(()), "others have their own");
        assert_eq!(budgets.take("a", at(1)), Ok(()));
        assert!(budgets.take("a", at(1)).is_err());
        budgets.give_back(&"a");
        assert_eq!(budgets.take("a", at(1)), Ok(()));
    }

    #[test]
    fn the_table_does_not_grow_and_forgets_those_who_have_all_again() {
        let mut budgets = Budgets::new(RATE);
        for key in 0..MOST + 10 {
            assert_eq!(budgets.take(key, at(0)), Ok(()));
        }
        assert_eq!(budgets.whole_at.len(), MOST);
        assert_eq!(budgets.take(MOST + 10, at(5)), Ok(()));
        assert_eq!(budgets.whole_at.len(), 1);
    }

    #[test]
    fn a_network_of_one_customer_has_one_budget() {
        let confirmations = Confirmations::default();
        let tenant = TenantId::from_uuid(uuid::Uuid::from_u128(1));
        let asked = |address: String, client: u32| {
            let address = address.parse().ok();
            let client = format!("cli_{client}");
            confirmations.take(address, tenant, &client).is_ok()
        };
        let let_in = (0..PER_ADDRESS.at_once + 200)
            .filter(|number| asked(format!("2001:db8:0:7::{number:x}"), *number))
            .count();
        assert!(let_in < PER_ADDRESS.at_once as usize + 100, "{let_in}");
        assert!(asked("2001:db8:0:8::1".to_owned(), 1));
        // The same address in another guise.
        for number in 0..PER_ADDRESS.at_once + 200 {
            asked("192.0.2.1".to_owned(), number);
        }
        assert!(!asked("::ffff:192.0.2.1".to_owned(), 1));
        assert!(asked("::ffff:192.0.2.2".to_owned(), 1));
    }

    #[test]
    fn an_address_whose_client_has_spent_all_loses_nothing_by_that() {
        let confirmations = Confirmations::default();
        let tenant = TenantId::from_uuid(uuid::Uuid::from_u128(1));
        let address = "192.0.2.1".parse().ok();
        let mut refused = 0;
        for _ in 0..PER_ADDRESS.at_once * 3 {
            refused += u32::from(confirmations.take(address, tenant, "cli_x").is_err());
        }
        assert!(refused > 0);
        assert!(confirmations.take(address, tenant, "cli_y").is_ok());
    }
}
