//! Quotas: how many of each kind a tenant may have, so that one tenant can't crowd out the others.

use thiserror::Error;

use crate::limits::Limits;

macro_rules! counted {
    ($($(#[doc = $doc:literal])* $name:ident = $word:literal, $people:literal, $default:literal of $highest:literal;)*) => {
        /// What is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Counted { $($(#[doc = $doc])* $name),* }

        impl Counted {
            /// All that is.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word that it is kept under.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }

            /// The word for people, for several of them.
            pub const fn for_people(self) -> &'static str {
                match self { $(Self::$name => $people),* }
            }

            /// How many a tenant may have for which nothing else is said.
            pub const fn default_limit(self) -> i64 {
                match self { $(Self::$name => $default),* }
            }

            /// How many may be allowed at most.
            pub const fn highest_limit(self) -> i64 {
                match self { $(Self::$name => $highest),* }
            }
        }
    };
}

counted! {
    /// Organizations, the root among them. Whoever manages a part of the tree has all of that part looked up.
    Organizations = "organizations", "organizations", 1_000 of 10_000;
    /// Members.
    Members = "members", "members", 100_000 of 10_000_000;
    /// Clients.
    Clients = "clients", "clients", 100_000 of 10_000_000;
    /// The tenant's own resource servers. Every token request looks through all of them.
    ResourceServers = "resource_servers", "resource servers", 100 of 500;
    /// Roles that the tenant has made for itself.
    Roles = "roles", "roles", 100 of 1_000;
}

impl Counted {
    /// Finds what is kept under a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|counted| counted.as_str() == word)
    }
}

/// Why a number can't be the quota of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be a number from 1 to {}", .0.highest_limit())]
pub struct QuotaError(pub Counted);

/// A tenant has more of something than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a tenant may have {limit} {}", counted.for_people())]
pub struct QuotaReached {
    /// Of what.
    pub counted: Counted,
    /// How many it may have.
    pub limit: i64,
}

/// What may be allowed of one kind: at least one, and not more than the highest.
fn is_good(counted: Counted, limit: i64) -> bool {
    (1..=counted.highest_limit()).contains(&limit)
}

/// How many of each kind one tenant may have: where nothing was decided, as many as any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quotas {
    organizations: Option<i64>,
    members: Option<i64>,
    clients: Option<i64>,
    resource_servers: Option<i64>,
    roles: Option<i64>,
    /// How much a single client may be given (`client_15`).
    pub client_limits: Limits,
}

impl Quotas {
    /// What was decided for this tenant, if anything was.
    pub fn decided(&self, counted: Counted) -> Option<i64> {
        match counted {
            Counted::Organizations => self.organizations,
            Counted::Members => self.members,
            Counted::Clients => self.clients,
            Counted::ResourceServers => self.resource_servers,
            Counted::Roles => self.roles,
        }
    }

    /// How many it may have.
    pub fn limit(&self, counted: Counted) -> i64 {
        self.decided(counted)
            .unwrap_or_else(|| counted.default_limit())
    }

    /// Decides how many it may have; nothing makes it as many as any.
    pub fn decide(&mut self, counted: Counted, limit: Option<i64>) -> Result<(), QuotaError> {
        if limit.is_some_and(|limit| !is_good(counted, limit)) {
            return Err(QuotaError(counted));
        }
        *match counted {
            Counted::Organizations => &mut self.organizations,
            Counted::Members => &mut self.members,
            Counted::Clients => &mut self.clients,
            Counted::ResourceServers => &mut self.resource_servers,
            Counted::Roles => &mut self.roles,
        } = limit;
        Ok(())
    }

    /// Decides whether a tenant may have as many as this, what was just made among them. A tenant whose quota was
    /// lowered below what it has keeps it, and gets nothing more.
    pub fn allow(&self, counted: Counted, used: i64) -> Result<(), QuotaReached> {
        let limit = self.limit(counted);
        if used <= limit {
            Ok(())
        } else {
            Err(QuotaReached { counted, limit })
        }
    }
}

/// How many of each kind a tenant has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Organizations, the root among them.
    pub organizations: i64,
    /// Members.
    pub members: i64,
    /// Clients.
    pub clients: i64,
    /// The tenant's own resource servers.
    pub resource_servers: i64,
    /// Roles of its own.
    pub roles: i64,
}

impl Usage {
    /// How many of one kind.
    pub fn of(&self, counted: Counted) -> i64 {
        match counted {
            Counted::Organizations => self.organizations,
            Counted::Members => self.members,
            Counted::Clients => self.clients,
            Counted::ResourceServers => self.resource_servers,
            Counted::Roles => self.roles,
        }
    }

    /// Says how many of one kind.
    pub fn set(&mut self, counted: Counted, used: i64) {
        *match counted {
            Counted::Organizations => &mut self.organizations,
            Counted::Members => &mut self.members,
            Counted::Clients => &mut self.clients,
            Counted::ResourceServers => &mut self.resource_servers,
            Counted::Roles => &mut self.roles,
        } = used;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_found_by_its_word_and_has_a_default_that_is_allowed() {
        for counted in Counted::ALL {
            assert_eq!(Counted::parse(counted.as_str()), Some(*counted));
            assert!(is_good(*counted, counted.default_limit()), "{counted:?}");
        }
        assert_eq!(Counted::parse("tenants"), None);
    }

    #[test]
    fn each_kind_has_a_quota_of_its_own_which_can_be_taken_back() {
        for counted in Counted::ALL {
            let mut quotas = Quotas::default();
            quotas.decide(*counted, Some(7)).unwrap();
            for other in Counted::ALL {
                let wanted = if other == counted {
                    7
                } else {
                    other.default_limit()
                };
                assert_eq!(quotas.limit(*other), wanted, "{counted:?} {other:?}");
                assert_eq!(quotas.decided(*other).is_some(), other == counted);
            }
            quotas.decide(*counted, None).unwrap();
            assert_eq!(quotas, Quotas::default());
        }
    }

    #[test]
    fn a_quota_is_at_least_one_and_at_most_the_highest() {
        for counted in Counted::ALL {
            let mut quotas = Quotas::default();
            let highest = counted.highest_limit();
            for bad in [i64::MIN, -1, 0, highest + 1, i64::MAX] {
                let refused = quotas.decide(*counted, Some(bad));
                assert_eq!(refused, Err(QuotaError(*counted)), "{bad}");
                assert_eq!(quotas, Quotas::default(), "a refusal decides nothing");
            }
            quotas.decide(*counted, Some(highest)).unwrap();
            quotas.decide(*counted, Some(1)).unwrap();
            assert_eq!(quotas.limit(*counted), 1);
        }
        assert_eq!(
            QuotaError(Counted::Organizations).to_string(),
            "must be a number from 1 to 10000"
        );
    }

    #[test]
    fn the_last_one_allowed_is_allowed_and_the_next_is_not() {
        let mut quotas = Quotas::default();
        quotas.decide(Counted::ResourceServers, Some(3)).unwrap();
        for used in [0, 1, 3] {
            assert_eq!(quotas.allow(Counted::ResourceServers, used), Ok(()));
        }
        for used in [4, 100] {
            let reached = quotas.allow(Counted::ResourceServers, used).unwrap_err();
            assert_eq!(reached.limit, 3);
            assert_eq!(reached.to_string(), "a tenant may have 3 resource servers");
        }
        assert_eq!(quotas.allow(Counted::Roles, 4), Ok(()));
    }

    #[test]
    fn usage_is_told_kind_by_kind() {
        let mut usage = Usage::default();
        for (index, counted) in (1..).zip(Counted::ALL) {
            usage.set(*counted, index);
        }
        for (index, counted) in (1..).zip(Counted::ALL) {
            assert_eq!(usage.of(*counted), index);
        }
    }
}
