//! Whose a client is, and what becomes of its secrets when it changes hands (`owner_1` to `owner_3`).

use chrono::{DateTime, Utc};

use crate::client_secret::ClientSecret;
use crate::ids::{MemberId, OrganizationId};
use crate::member::Member;
use crate::permission::Permission;
use crate::role::{HeldRole, HomeTenant};

/// What whoever owns a client may do where it lives: these are the administrative rights of the rules.
pub const OWNS_BY: Permission = Permission::ClientsWrite;

/// Whether a member with these roles may own what lives at the end of a path from the root: they are active and
/// administer it (`owner_1`).
pub fn may_own(
    member: &Member,
    roles: &[HeldRole],
    home: HomeTenant,
    path: &[OrganizationId],
) -> bool {
    !member.suspension.is_suspended()
        && path.first() == Some(&home.root)
        && roles
            .iter()
            .filter(|held| held.role.permits(OWNS_BY))
            .any(|held| path.contains(&held.organization))
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$of])* $variant),* }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word on the wire and in storage.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// Reads the word.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text)
            }
        }
    )*};
}

words! {
    /// Why a client changed hands.
    TransferCause {
        /// An administrator handed it over.
        Transferred = "transferred",
        /// Its owner was deleted.
        OwnerDeleted = "owner_deleted",
        /// Its owner was disabled.
        OwnerDisabled = "owner_disabled",
        /// Its owner left the root organization.
        OwnerLeft = "owner_left",
        /// Its owner does not administer the organization any more in which it lives.
        RightsLost = "rights_lost",
    }
    /// How urgent it is to replace a secret.
    DueWhy {
        /// Whoever owned its client, or made it, has seen it and should not any more.
        Exposed = "exposed",
        /// Nobody is known to have seen it.
        Precaution = "precaution",
    }
}

/// That a secret ought to be replaced (`owner_3`). It goes on working.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationDue {
    /// Since when.
    pub since: DateTime<Utc>,
    /// How urgent it is.
    pub why: DueWhy,
    /// What brought it about.
    pub cause: TransferCause,
    /// Whose client it was, who made it, or who left the organization.
    pub former_owner: MemberId,
}

/// That the secrets of an organization's clients ought to be replaced that were made until then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationMark {
    /// When it was set.
    pub since: DateTime<Utc>,
    /// What brought it about.
    pub cause: TransferCause,
    /// Who owned something there.
    pub former_owner: MemberId,
}

/// Why a secret ought to be replaced, if it should: by what stands with itself or else by the mark of the
/// organization in which its client lives. A mark says nothing of what was made after it.
pub fn due(secret: &ClientSecret, mark: Option<&RotationMark>) -> Option<RotationDue> {
    secret.due.clone().or_else(|| {
        let mark = mark.filter(|mark| secret.created_at <= mark.since)?;
        Some(RotationDue {
            since: mark.since,
            why: DueWhy::Precaution,
            cause: mark.cause,
            former_owner: mark.former_owner,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_secret::tests::secret;
    use crate::member::MemberSettings;
    use crate::role::{BuiltInRole, Role};
    use crate::suspension::{Pause, Suspension};
    use crate::text::{EmailAddress, PersonName};
    use chrono::TimeDelta;
    use uuid::Uuid;

    fn organization(number: u128) -> OrganizationId {
        OrganizationId::from_uuid(Uuid::from_u128(number))
    }

    fn member() -> Member {
        Member {
            id: MemberId::from_uuid(Uuid::from_u128(9)),
            settings: MemberSettings {
                name: PersonName::parse("Ada").unwrap(),
                email: EmailAddress::parse("ada@acme.example").unwrap(),
                organization: organization(1),
            },
            revision: 1,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
            suspension: Suspension::default(),
        }
    }

    fn owns(roles: &[HeldRole], path: &[u128]) -> bool {
        let home = HomeTenant {
            root: organization(1),
            is_platform: false,
        };
        let path: Vec<_> = path.iter().copied().map(organization).collect();
        may_own(&member(), roles, home, &path)
    }

    #[test]
    fn owner_1_whoever_administers_the_organization_or_one_above_may_own() {
        let over = |role: BuiltInRole, number| [HeldRole::new(role, organization(number))];
        assert!(owns(&over(BuiltInRole::Owner, 1), &[1, 2]));
        assert!(owns(&over(BuiltInRole::Admin, 2), &[1, 2]));
        assert!(owns(&over(BuiltInRole::Admin, 2), &[1, 2, 3]));
        assert!(!owns(&over(BuiltInRole::Admin, 3), &[1, 2]), "one below");
        assert!(!owns(&over(BuiltInRole::Support, 1), &[1]));
        assert!(!owns(&over(BuiltInRole::Developer, 1), &[1]));
        assert!(!owns(&[], &[1]));
        assert!(!owns(&over(BuiltInRole::Admin, 2), &[]), "nowhere");
        assert!(!owns(&over(BuiltInRole::Admin, 2), &[7, 2]), "another tree");
        let own = Role::Own {
            id: crate::ids::RoleId::from_uuid(Uuid::from_u128(5)),
            permissions: [Permission::ClientsWrite].into(),
        };
        assert!(owns(&[HeldRole::new(own, organization(1))], &[1]));
    }

    #[test]
    fn owner_2_whoever_is_disabled_owns_nothing() {
        let mut gone = member();
        gone.suspension.by_tenant = Some(Pause {
            since: DateTime::UNIX_EPOCH,
            reason: None,
        });
        let roles = [HeldRole::new(BuiltInRole::Owner, organization(1))];
        let home = HomeTenant {
            root: organization(1),
            is_platform: false,
        };
        assert!(!may_own(&gone, &roles, home, &[organization(1)]));
        assert!(may_own(&member(), &roles, home, &[organization(1)]));
    }

    #[test]
    fn owner_3_a_mark_is_a_precaution_for_what_was_made_before_it_and_what_is_exposed_stays_so() {
        let mark = RotationMark {
            since: DateTime::UNIX_EPOCH,
            cause: TransferCause::OwnerLeft,
            former_owner: member().id,
        };
        let old = secret(None, None);
        let found = due(&old, Some(&mark)).unwrap();
        assert_eq!(
            (found.why, found.cause),
            (DueWhy::Precaution, TransferCause::OwnerLeft)
        );
        assert_eq!(due(&old, None), None);
        let mut newer = old.clone();
        newer.created_at += TimeDelta::microseconds(1);
        assert_eq!(due(&newer, Some(&mark)), None);
        newer.due = Some(RotationDue {
            since: newer.created_at,
            why: DueWhy::Exposed,
            cause: TransferCause::RightsLost,
            former_owner: member().id,
        });
        assert_eq!(due(&newer, Some(&mark)), newer.due);
    }

    #[test]
    fn words_lead_back() {
        for cause in TransferCause::ALL {
            assert_eq!(TransferCause::parse(cause.as_str()), Some(*cause));
        }
        for why in DueWhy::ALL {
            assert_eq!(DueWhy::parse(why.as_str()), Some(*why));
        }
        assert_eq!(DueWhy::parse("other"), None);
    }
}
