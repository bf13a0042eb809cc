//! Limits of a client, as they are set.

use grantor_domain::limits::Limits;
use grantor_storage::{Reads, quotas};

use crate::call::{Acting, Stop};
use crate::problem::Problem;

/// Demands that no limit is set anew beyond what operators allow to the tenant (`client_15`).
pub(super) fn check_limits(
    tx: &mut impl Reads,
    acting: &Acting,
    before: &Limits,
    after: &Limits,
) -> Result<(), Stop> {
    let bounds = quotas::find(tx, acting.tenant)?.client_limits;
    after.check(before, &bounds).map_err(|error| {
        let pointer = format!("/{}", error.limited.as_str());
        Problem::field(pointer, error).into()
    })
}
