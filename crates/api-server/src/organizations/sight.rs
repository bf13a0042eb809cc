//! What a caller may be told of the organization above another.

use std::collections::BTreeSet;

use grantor_domain::access::Reach;
use grantor_domain::ids::OrganizationId;
use grantor_domain::organization::Organization;
use grantor_domain::permission::Permission;
use grantor_storage::{Reads, StorageError, organizations};

use super::shapes::OrganizationOutput;
use crate::call::Acting;

/// Which organizations a caller may be told of as the one above another: those over which they hold anything here,
/// whatever let this call through.
pub(super) enum Sight {
    /// All of them.
    All,
    /// These.
    These(BTreeSet<OrganizationId>),
}

const SIGHT: [Permission; 2] = [
    Permission::OrganizationsRead,
    Permission::OrganizationsWrite,
];

impl Sight {
    /// What this caller may be told of.
    pub(super) fn of(tx: &mut impl Reads, acting: &Acting) -> Result<Self, StorageError> {
        let mut tops = BTreeSet::new();
        for permission in SIGHT {
            match acting.caller.tops(permission) {
                Reach::Everything => return Ok(Self::All),
                Reach::Subtrees(more) => tops.extend(more),
            }
        }
        let tops: Vec<_> = tops.into_iter().collect();
        let seen = organizations::subtree(tx, acting.tenant, &tops)?;
        Ok(Self::These(seen.into_iter().collect()))
    }

    /// Whether they may be told of this one.
    pub(super) fn has(&self, organization: OrganizationId) -> bool {
        match self {
            Self::All => true,
            Self::These(seen) => seen.contains(&organization),
        }
    }

    /// An organization as they see it.
    pub(super) fn show(&self, organization: &Organization) -> OrganizationOutput {
        let knows = organization.parent.is_some_and(|parent| self.has(parent));
        OrganizationOutput::of(organization, knows)
    }
}

/// One organization as the caller sees it.
pub(super) fn output(
    tx: &mut impl Reads,
    acting: &Acting,
    organization: &Organization,
) -> Result<OrganizationOutput, StorageError> {
    let knows = match organization.parent {
        None => false,
        Some(parent) => {
            let path = organizations::path(tx, acting.tenant, parent)?;
            SIGHT
                .iter()
                .any(|permission| acting.caller.may_in(*permission, &path).is_ok())
        }
    };
    Ok(OrganizationOutput::of(organization, knows))
}
