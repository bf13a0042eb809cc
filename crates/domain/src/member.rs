//! Members: the users of one tenant. How they sign in is recorded apart.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::ids::{MemberId, OrganizationId};
use crate::search::words;
use crate::suspension::Suspension;
use crate::text::{EmailAddress, PersonName};

/// What can be set of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberSettings {
    /// Their name.
    pub name: PersonName,
    /// Where they are written to; in one tenant no two members have the same.
    pub email: EmailAddress,
    /// Where they live in the tree.
    pub organization: OrganizationId,
}

impl MemberSettings {
    /// The words by which the member is found.
    pub fn words(&self) -> BTreeSet<String> {
        words([self.name.as_str(), self.email.as_str()])
    }
}

/// A member about to be made.
#[derive(Debug, Clone)]
pub struct NewMember {
    /// Their id.
    pub id: MemberId,
    /// What is set of them.
    pub settings: MemberSettings,
}

/// A member as they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Their id.
    pub id: MemberId,
    /// What was set of them.
    pub settings: MemberSettings,
    /// Raised by every change to them or what hangs on them.
    pub revision: i64,
    /// When they were made.
    pub created_at: DateTime<Utc>,
    /// When they or what hangs on them last changed.
    pub updated_at: DateTime<Utc>,
    /// Whether they are disabled, and by whom.
    pub suspension: Suspension,
}

impl Member {
    /// Whether they may sign in and act.
    pub fn status(&self) -> MemberStatus {
        if self.suspension.is_suspended() {
            MemberStatus::Disabled
        } else {
            MemberStatus::Active
        }
    }
}

/// Whether a member may sign in and act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberStatus {
    /// They may.
    Active,
    /// They are disabled until enabled again.
    Disabled,
}

impl MemberStatus {
    /// The stored word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}
