//! Rate limits that hold before anybody is authenticated: per address, and per credential that is presented.
//!
//! A request is let through when both budgets have room, and is then taken from both. A request without a credential
//! is held by its address alone. What is refused costs nothing, so the neighbours behind one address are not shut out by
//! a caller who goes on when told to wait. A made-up credential has a budget of its own and never touches that of a
//! real one. Each process counts for itself: behind a load balancer a caller may get as many times the rate as there
//! are replicas.

mod budgets;
mod fields;
mod key;
mod middleware;
mod monotonic;
mod rate;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::header::HeaderMap;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};

use budgets::{Budgets, Spent};
use fields::Told;
use key::{Key, KeyMaker};

pub(crate) use middleware::RateLimiting;
pub use monotonic::{Monotonic, ProcessClock};
pub use rate::{Rate, RateError};

/// A budget that is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests; try again in {retry_after_seconds} s")]
pub struct LimitReached {
    /// What `Retry-After` should say.
    pub retry_after_seconds: u64,
}

/// What rate limits are made of.
pub struct RateLimitsOptions {
    /// What one address may ask for; without, addresses are not counted.
    pub per_address: Option<Rate>,
    /// What one credential may ask for, from wherever; without, credentials are not counted.
    pub per_caller: Option<Rate>,
    /// Random bytes that nobody outside of this process knows.
    pub secret: [u8; 32],
    /// The time.
    pub clock: Arc<dyn Monotonic>,
    /// The 429, in the server's own words; it is given the seconds to wait. `Retry-After` is added to an answer without.
    pub answer: fn(u64) -> HttpResponse,
}

/// The limits of a server, with what everybody has spent. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct RateLimits(Arc<Limits>);

struct Limits {
    addresses: Option<Budgets>,
    callers: Option<Budgets>,
    keys: KeyMaker,
    clock: Arc<dyn Monotonic>,
    answer: fn(u64) -> HttpResponse,
}

/// Whose budgets a request is taken from.
#[derive(Clone, Copy)]
struct Payer {
    address: Key,
    caller: Option<Key>,
}

/// Kept with a request, so that its handler can charge more for it.
struct Account {
    limits: RateLimits,
    payer: Payer,
}

impl RateLimits {
    /// Limits under which nobody has spent anything yet.
    pub fn new(options: RateLimitsOptions) -> Self {
        Self(Arc::new(Limits {
            addresses: options.per_address.map(Budgets::new),
            callers: options.per_caller.map(Budgets::new),
            keys: KeyMaker::new(&options.secret),
            clock: options.clock,
            answer: options.answer,
        }))
    }

    /// Takes `more` from the budgets of the request's caller, besides the 1 that every request costs. All is taken or
    /// nothing. A call that holds more than a whole budget costs the whole of it: it goes through when nothing else was
    /// asked for of late. Where no limits are switched on, everything is let through.
    ///
    /// A handler calls this before it begins to do what costs so much, and answers 429 when it is refused.
    pub fn charge(request: &HttpRequest, more: u32) -> Result<(), LimitReached> {
        let extensions = request.extensions();
        let Some(account) = extensions.get::<Account>() else {
            return Ok(());
        };
        account.limits.charge_more(account.payer, more)
    }

    fn payer(&self, address: IpAddr, headers: &HeaderMap) -> Payer {
        Payer {
            address: self.0.keys.address(address),
            caller: self.0.keys.caller(headers),
        }
    }

    /// Takes what every request costs.
    fn admit(&self, payer: Payer) -> Result<(), LimitReached> {
        self.take(payer, |_| 1)
    }

    fn charge_more(&self, payer: Payer, more: u32) -> Result<(), LimitReached> {
        self.take(payer, |budgets| more.min(budgets.dearest()))
    }

    /// Takes from both budgets or from none.
    fn take(&self, payer: Payer, cost: impl Fn(&Budgets) -> u32) -> Result<(), LimitReached> {
        let now = self.0.clock.elapsed();
        // The address comes first: made-up credentials from one that has spent its budget take no places.
        if let Some(addresses) = &self.0.addresses {
            addresses.take(payer.address, cost(addresses), now)?;
        }
        if let (Some(callers), Some(caller)) = (&self.0.callers, payer.caller)
            && let Err(spent) = callers.take(caller, cost(callers), now)
        {
            if let Some(addresses) = &self.0.addresses {
                addresses.give_back(payer.address, cost(addresses));
            }
            return Err(spent.into());
        }
        Ok(())
    }

    /// Tells in the headers of an answer how the caller stands now.
    fn tell(&self, payer: Payer, headers: &mut HeaderMap) {
        let now = self.0.clock.elapsed();
        let told = |name, budgets: &Option<Budgets>, key: Option<Key>| {
            let (budgets, key) = (budgets.as_ref()?, key?);
            let (rate, standing) = (budgets.rate(), budgets.standing(key, now));
            Some(Told {
                name,
                rate,
                standing,
            })
        };
        let limits = [
            told("address", &self.0.addresses, Some(payer.address)),
            told("caller", &self.0.callers, payer.caller),
        ];
        let limits: Vec<_> = limits.into_iter().flatten().collect();
        fields::write(headers, &limits);
    }
}

impl From<Spent> for LimitReached {
    fn from(spent: Spent) -> Self {
        Self {
            retry_after_seconds: spent.retry_after,
        }
    }
}

impl fmt::Debug for RateLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimits")
            .field("addresses", &self.0.addresses)
            .field("callers", &self.0.callers)
            .finish_non_exhaustive()
    }
}
