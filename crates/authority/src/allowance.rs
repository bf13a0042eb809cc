//! How much of what is dear whoever asks may have: of loads that confirm a no, and of guesses at chosen secrets.
//!
//! By the generic cell rate algorithm: of each key only the time is kept at which all it may have is there again. Keys
//! that have all they may have need no place; when the table is full of others, new keys go by without a count.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::locked;

/// How many keys are kept of each kind.
const MOST: usize = 100_000;

/// What somebody may have at once, and how fast it comes back.
#[derive(Debug, Clone, Copy)]
struct Rate {
    at_once: u32,
    each: Duration,
}

/// What all from one network may have, and what may be had of one client, from wherever. The network's is smaller: no one
/// network can spend all there is of a client, so that from any other there is always a way in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rates {
    per_network: Rate,
    per_client: Rate,
}

/// Of confirmations of a no: each costs a load.
pub(crate) const NOES: Rates = Rates {
    per_network: Rate {
        at_once: 300,
        each: Duration::from_millis(50),
    },
    per_client: Rate {
        at_once: 600,
        each: Duration::from_millis(20),
    },
};

/// Of guesses at chosen secrets: each takes a core for some 20 ms.
pub(crate) const GUESSES: Rates = Rates {
    per_network: Rate {
        at_once: 30,
        each: Duration::from_secs(1),
    },
    per_client: Rate {
        at_once: 60,
        each: Duration::from_millis(500),
    },
};

/// A budget that is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spent {
    /// When there is something again.
    pub(crate) retry_after: Duration,
}

/// The budgets. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Allowance<C> {
    begun: Instant,
    networks: Arc<Mutex<Budgets<IpAddr>>>,
    clients: Arc<Mutex<Budgets<C>>>,
}

/// What was taken of two budgets.
pub(crate) struct Taken<C> {
    allowance: Allowance<C>,
    network: Option<IpAddr>,
    client: C,
}

impl<C: Eq + Hash + Clone> Allowance<C> {
    pub(crate) fn new(rates: Rates) -> Self {
        Self {
            begun: Instant::now(),
            networks: Arc::new(Mutex::new(Budgets::new(rates.per_network))),
            clients: Arc::new(Mutex::new(Budgets::new(rates.per_client))),
        }
    }

    /// Takes one from the budgets of an address and of a client.
    pub(crate) fn take(&self, address: Option<IpAddr>, client: C) -> Result<Taken<C>, Spent> {
        let network = address.map(network);
        self.take_at(network, &client, self.begun.elapsed())?;
        Ok(Taken {
            allowance: self.clone(),
            network,
            client,
        })
    }

    /// Under both locks at once: of many at the same time none takes what another has just taken.
    fn take_at(&self, network: Option<IpAddr>, client: &C, now: Duration) -> Result<(), Spent> {
        let (mut networks, mut clients) = (locked(&self.networks), locked(&self.clients));
        if let Some(network) = network {
            networks.look(&network, now, 1)?;
        }
        clients.look(client, now, 1)?;
        if let Some(network) = network {
            networks.charge(network, now, 1);
        }
        clients.charge(client.clone(), now, 1);
        Ok(())
    }

    /// Whether so many are left. Whoever is told so and comes at the same time as others may together take some more.
    pub(crate) fn look(
        &self,
        address: Option<IpAddr>,
        client: &C,
        count: u32,
    ) -> Result<(), Spent> {
        let now = self.begun.elapsed();
        if let Some(address) = address {
            locked(&self.networks).look(&network(address), now, count)?;
        }
        locked(&self.clients).look(client, now, count)
    }

    /// Takes so many, whether they are left or not.
    pub(crate) fn charge(&self, address: Option<IpAddr>, client: &C, count: u32) {
        let now = self.begun.elapsed();
        if let Some(address) = address {
            locked(&self.networks).charge(network(address), now, count);
        }
        locked(&self.clients).charge(client.clone(), now, count);
    }
}

/// Whose budget an address counts for. Of IPv6 it is the /64: that much each customer of a provider has to themselves.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl<C: Eq + Hash> Taken<C> {
    /// Gives it back: it was no no after all.
    pub(crate) fn give_back(self) {
        if let Some(network) = self.network {
            locked(&self.allowance.networks).give_back(&network);
        }
        locked(&self.allowance.clients).give_back(&self.client);
    }
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

    fn look(&self, key: &K, now: Duration, count: u32) -> Result<(), Spent> {
        let known = self.whole_at.get(key).copied().unwrap_or_default();
        let whole_at = known.max(now) + self.rate.each * count;
        match whole_at.checked_sub(now + self.rate.each * self.rate.at_once) {
            None | Some(Duration::ZERO) => Ok(()),
            Some(retry_after) => Err(Spent { retry_after }),
        }
    }

    fn charge(&mut self, key: K, now: Duration, count: u32) {
        if self.whole_at.len() >= MOST && !self.whole_at.contains_key(&key) {
            self.whole_at.retain(|_, whole_at| *whole_at > now);
            if self.whole_at.len() >= MOST {
                return;
            }
        }
        let whole_at = self.whole_at.entry(key).or_default();
        *whole_at = (*whole_at).max(now) + self.rate.each * count;
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

    impl<K: Eq + Hash + Clone> Budgets<K> {
        fn take(&mut self, key: K, now: Duration, count: u32) -> Result<(), Spent> {
            self.look(&key, now, count)?;
            self.charge(key, now, count);
            Ok(())
        }
    }

    impl<C: Eq + Hash + Clone> Allowance<C> {
        /// Takes one at a time of the test's; whether it was there.
        fn took(&self, address: &str, client: &C, now: Duration) -> bool {
            let network = address.parse().ok().map(network);
            self.take_at(network, client, now).is_ok()
        }
    }

    #[test]
    fn so_many_at_once_and_then_as_fast_as_they_come_back() {
        let mut budgets = Budgets::new(RATE);
        for _ in 0..3 {
            assert_eq!(budgets.take("a", at(0), 1), Ok(()));
        }
        let retry_after = Duration::from_secs(1);
        assert_eq!(budgets.take("a", at(0), 1), Err(Spent { retry_after }));
        assert_eq!(budgets.take("b", at(0), 1), Ok(()), "others have their own");
        assert_eq!(budgets.take("a", at(1), 1), Ok(()));
        assert!(budgets.take("a", at(1), 1).is_err());
        budgets.give_back(&"a");
        assert_eq!(budgets.take("a", at(1), 1), Ok(()));
    }

    #[test]
    fn who_takes_many_spends_as_much_as_who_takes_often() {
        let mut budgets = Budgets::new(RATE);
        assert!(budgets.take("a", at(0), 4).is_err());
        assert_eq!(budgets.take("a", at(0), 2), Ok(()));
        let retry_after = Duration::from_secs(1);
        assert_eq!(budgets.take("a", at(0), 2), Err(Spent { retry_after }));
        assert_eq!(budgets.take("a", at(0), 1), Ok(()));
        // What was under way is charged though nothing is left, and is waited for.
        budgets.charge("a", at(0), 2);
        let retry_after = Duration::from_secs(3);
        assert_eq!(budgets.look(&"a", at(0), 1), Err(Spent { retry_after }));
        assert_eq!(budgets.look(&"a", at(3), 1), Ok(()));
    }

    #[test]
    fn the_table_does_not_grow_and_forgets_those_who_have_all_again() {
        let mut budgets = Budgets::new(RATE);
        for key in 0..MOST + 10 {
            assert_eq!(budgets.take(key, at(0), 1), Ok(()));
        }
        assert_eq!(budgets.whole_at.len(), MOST);
        assert_eq!(budgets.take(MOST + 10, at(5), 1), Ok(()));
        assert_eq!(budgets.whole_at.len(), 1);
    }

    #[test]
    fn a_network_of_one_customer_has_one_budget() {
        let allowance = Allowance::new(NOES);
        let took = |address: &str, client: u32| allowance.took(address, &client, at(0));
        let at_once = NOES.per_network.at_once;
        let let_in = (0..at_once + 200)
            .filter(|number| took(&format!("2001:db8:0:7::{number:x}"), *number))
            .count();
        assert_eq!(let_in, at_once as usize);
        assert!(took("2001:db8:0:8::1", 1));
        // The same address in another guise.
        while took("192.0.2.1", 2) {}
        assert!(!took("::ffff:192.0.2.1", 3));
        assert!(took("::ffff:192.0.2.2", 3));
    }

    #[test]
    fn a_network_whose_client_has_spent_all_loses_nothing_by_that() {
        let allowance = Allowance::new(NOES);
        let took = |address: &str, client: &'static str| allowance.took(address, &client, at(0));
        let others = (0..NOES.per_client.at_once * 2)
            .filter(|round| took(&format!("198.51.100.{}", round % 250), "x"))
            .count();
        assert_eq!(others, NOES.per_client.at_once as usize);
        assert!((0..1_000).all(|_| !took("192.0.2.1", "x")));
        assert!((0..NOES.per_network.at_once).all(|_| took("192.0.2.1", "y")));
    }

    #[test]
    fn what_is_given_back_is_there_again() {
        let allowance = Allowance::new(NOES);
        let address = "192.0.2.1".parse().ok();
        for _ in 0..NOES.per_client.at_once * 2 {
            allowance.take(address, "x").unwrap().give_back();
        }
    }

    #[test]
    fn secret_4_who_says_what_is_wrong_from_one_network_leaves_a_way_in_from_all_others() {
        for rates in [NOES, GUESSES] {
            let allowance = Allowance::new(rates);
            let took = |address: &str| allowance.took(address, &"client", at(0));
            while took("192.0.2.1") {}
            assert!(took("192.0.2.2"));
            // What comes back to a network is less than what comes back to a client.
            assert!(rates.per_network.each > rates.per_client.each);
            // Many networks together have what there is of the client, and no more.
            let rest = rates.per_client.at_once - rates.per_network.at_once - 1;
            let among_many = (0..rates.per_client.at_once)
                .filter(|round| took(&format!("198.51.{}.{}", round / 250, round % 250)))
                .count();
            assert_eq!(among_many, rest as usize);
            assert!(!took("203.0.113.1"));
            assert!(allowance.took("203.0.113.1", &"other", at(0)));
        }
    }
}
