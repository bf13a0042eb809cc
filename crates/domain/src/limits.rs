//! How fast a client may get tokens, and how many of them may live (`client_15`).
//!
//! What counts is the client's own limit, or else the default in the tenant's settings, and in any case no more than
//! operators allow to the tenant.

use thiserror::Error;

use crate::client::Client;
use crate::quota::Quotas;
use crate::settings::TenantSettings;

/// Of what a client may not have more than so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limited {
    /// Tokens issued in a minute.
    TokensPerMinute,
    /// Access tokens that live at the same time.
    LiveTokens,
}

impl Limited {
    /// All that is limited.
    pub const ALL: [Self; 2] = [Self::TokensPerMinute, Self::LiveTokens];

    /// The field by which it is set of a client and of a tenant's bounds.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokensPerMinute => "tokens_per_minute",
            Self::LiveTokens => "max_live_tokens",
        }
    }

    /// What a client has for which nothing is said, in a tenant that says nothing.
    pub const fn default_limit(self) -> u32 {
        match self {
            Self::TokensPerMinute => 6_000,
            Self::LiveTokens => 100_000,
        }
    }

    /// How much a tenant may give where operators say nothing.
    pub const fn default_bound(self) -> u32 {
        match self {
            Self::TokensPerMinute => 60_000,
            Self::LiveTokens => 200_000,
        }
    }

    /// How much operators can allow at most. What is more, nobody could count in time.
    pub const fn highest(self) -> u32 {
        match self {
            Self::TokensPerMinute => 6_000_000,
            Self::LiveTokens => 1_000_000,
        }
    }
}

/// A number that can't be such a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be between 1 and {}", .0.highest())]
pub struct LimitError(pub Limited);

/// A limit beyond what operators allow to the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "must be at most {bound}, which is what the operators allow to a client of this tenant; ask them for more"
)]
pub struct BeyondBound {
    /// Of what.
    pub limited: Limited,
    /// How much they allow.
    pub bound: u32,
}

/// A number of tokens of one kind, where one is set; and none where something else is to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    tokens_per_minute: Option<u32>,
    live_tokens: Option<u32>,
}

impl Limits {
    /// What is set, if anything is.
    pub fn get(&self, limited: Limited) -> Option<u32> {
        match limited {
            Limited::TokensPerMinute => self.tokens_per_minute,
            Limited::LiveTokens => self.live_tokens,
        }
    }

    /// Sets a number, or nothing.
    pub fn set(&mut self, limited: Limited, number: Option<i64>) -> Result<(), LimitError> {
        let good = |number: i64| {
            u32::try_from(number)
                .ok()
                .filter(|number| (1..=limited.highest()).contains(number))
                .ok_or(LimitError(limited))
        };
        let number = number.map(good).transpose()?;
        *match limited {
            Limited::TokensPerMinute => &mut self.tokens_per_minute,
            Limited::LiveTokens => &mut self.live_tokens,
        } = number;
        Ok(())
    }

    /// How much of something a client of a tenant with these bounds can be given.
    pub fn as_bound(&self, limited: Limited) -> u32 {
        self.get(limited).unwrap_or_else(|| limited.default_bound())
    }

    /// Demands that nothing is set anew beyond the bounds. What was set before they were lowered may stay as it is: it
    /// is cut down to them wherever it counts.
    pub fn check(&self, before: &Self, bounds: &Self) -> Result<(), BeyondBound> {
        for limited in Limited::ALL {
            let bound = bounds.as_bound(limited);
            let number = self.get(limited);
            if number != before.get(limited) && number.is_some_and(|number| number > bound) {
                return Err(BeyondBound { limited, bound });
            }
        }
        Ok(())
    }
}

/// Where a limit comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetBy {
    /// It is the client's own.
    Client,
    /// It is the tenant's for every client without one of its own.
    Tenant,
    /// Operators allow no more, whatever else is said.
    Operator,
}

/// A limit as it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effective {
    /// The number.
    pub number: u32,
    /// Where it comes from.
    pub set_by: SetBy,
}

/// The limits of one client as they count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientLimits {
    /// How many tokens it may get in a minute.
    pub tokens_per_minute: Effective,
    /// How many of its access tokens may live.
    pub live_tokens: Effective,
}

impl ClientLimits {
    /// Decides the limits of a client.
    pub fn of(client: &Client, settings: &TenantSettings, quotas: &Quotas) -> Self {
        let decide = |limited| {
            let own = client.settings.limits.get(limited);
            let bound = quotas.client_limits.as_bound(limited);
            let default = settings.client_limits.get(limited);
            let wanted = own.or(default).unwrap_or_else(|| limited.default_limit());
            let set_by = if wanted > bound {
                SetBy::Operator
            } else if own.is_some() {
                SetBy::Client
            } else {
                SetBy::Tenant
            };
            Effective {
                number: wanted.min(bound),
                set_by,
            }
        };
        Self {
            tokens_per_minute: decide(Limited::TokensPerMinute),
            live_tokens: decide(Limited::LiveTokens),
        }
    }

    /// One of them.
    pub fn get(&self, limited: Limited) -> Effective {
        match limited {
            Limited::TokensPerMinute => self.tokens_per_minute,
            Limited::LiveTokens => self.live_tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tests::client;

    fn limits(rate: Option<i64>, live: Option<i64>) -> Limits {
        let mut limits = Limits::default();
        limits.set(Limited::TokensPerMinute, rate).unwrap();
        limits.set(Limited::LiveTokens, live).unwrap();
        limits
    }

    fn decided(own: Limits, default: Limits, bounds: Limits) -> ClientLimits {
        let mut client = client("");
        client.settings.limits = own;
        let settings = TenantSettings {
            client_limits: default,
            ..TenantSettings::default()
        };
        let mut quotas = Quotas::default();
        quotas.client_limits = bounds;
        ClientLimits::of(&client, &settings, &quotas)
    }

    #[test]
    fn client_15_the_own_limit_counts_then_the_tenants_then_the_default() {
        let none = Limits::default();
        let by = |own, default| {
            let limits = decided(own, default, none);
            let rate = limits.get(Limited::TokensPerMinute);
            (rate.number, rate.set_by)
        };
        let of_tenant = limits(Some(30), None);
        assert_eq!(by(none, none), (6_000, SetBy::Tenant));
        assert_eq!(by(none, of_tenant), (30, SetBy::Tenant));
        assert_eq!(by(limits(Some(7), None), of_tenant), (7, SetBy::Client));
        assert_eq!(by(limits(Some(70), None), of_tenant), (70, SetBy::Client));
        // The one says nothing of the other.
        let live = decided(limits(Some(7), None), none, none).get(Limited::LiveTokens);
        assert_eq!((live.number, live.set_by), (100_000, SetBy::Tenant));
    }

    #[test]
    fn client_15_no_limit_counts_for_more_than_operators_allow() {
        let none = Limits::default();
        let cut = Effective {
            number: 5,
            set_by: SetBy::Operator,
        };
        for limited in Limited::ALL {
            let bounds = limits(Some(5), Some(5));
            assert_eq!(decided(none, none, bounds).get(limited), cut);
            let high = limits(Some(50), Some(50));
            assert_eq!(decided(high, none, bounds).get(limited), cut);
            assert_eq!(decided(none, high, bounds).get(limited), cut);
            let low = decided(limits(Some(4), Some(4)), high, bounds);
            assert_eq!(low.get(limited).set_by, SetBy::Client);
            assert_eq!(low.get(limited).number, 4);
        }
    }

    #[test]
    fn client_15_numbers_have_bounds_and_a_refusal_changes_nothing() {
        for limited in Limited::ALL {
            assert!(limited.default_limit() <= limited.default_bound());
            assert!(limited.default_bound() <= limited.highest());
            let highest = i64::from(limited.highest());
            let mut limits = Limits::default();
            for good in [1, highest] {
                limits.set(limited, Some(good)).unwrap();
                assert_eq!(limits.get(limited).map(i64::from), Some(good));
            }
            for bad in [0, -1, highest + 1, i64::MIN, i64::MAX] {
                assert_eq!(limits.set(limited, Some(bad)), Err(LimitError(limited)));
                assert_eq!(limits.get(limited).map(i64::from), Some(highest));
            }
            limits.set(limited, None).unwrap();
            assert_eq!(limits, Limits::default());
        }
        assert_eq!(
            LimitError(Limited::LiveTokens).to_string(),
            "must be between 1 and 1000000"
        );
    }

    #[test]
    fn client_15_what_is_set_anew_keeps_to_the_bounds_and_what_was_set_before_may_stay() {
        let (none, bounds) = (Limits::default(), limits(Some(100), Some(100)));
        assert_eq!(limits(Some(100), Some(100)).check(&none, &bounds), Ok(()));
        let beyond = limits(Some(100), Some(101));
        let refused = beyond.check(&none, &bounds).unwrap_err();
        assert_eq!(refused.limited, Limited::LiveTokens);
        assert_eq!(refused.bound, 100);
        assert_eq!(beyond.check(&beyond, &bounds), Ok(()));
        assert!(
            limits(Some(101), Some(101))
                .check(&beyond, &bounds)
                .is_err()
        );
        // Where operators say nothing there is a bound all the same.
        assert!(limits(Some(60_000), None).check(&none, &none).is_ok());
        assert!(limits(Some(60_001), None).check(&none, &none).is_err());
    }
}
