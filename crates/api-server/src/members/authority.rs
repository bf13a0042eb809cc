//! What one member's account is to others: nobody reaches, through it, what they do not hold themselves.

use grantor_domain::member::Member;
use grantor_domain::role::HeldPermissions;
use grantor_storage::role_assignments::Holder;
use grantor_storage::{Reads, authenticators, role_assignments, root_owner};

use crate::call::{Acting, Stop};
use crate::role_assignments::home;

/// Demands that the caller may come to be a member: holds whatever they hold. The root ownership is nothing that can
/// be held besides, so nobody but themselves may be the root owner, once they have come in.
pub(super) fn check_may_be(
    tx: &mut impl Reads,
    acting: &Acting,
    member: &Member,
) -> Result<(), Stop> {
    let is_root_owner = root_owner::find(tx, acting.tenant)? == Some(member.id);
    if is_root_owner
        && acting.caller.member != Some(member.id)
        && authenticators::has_password(tx, acting.tenant, member.id)?
    {
        return Err(acting.refuse_to_others_than_the_root_owner());
    }
    check_holds_as_much(tx, acting, member)
}

/// Demands that the caller holds whatever a member holds: for what would put the member's account into the
/// caller's hands, or take it from the member.
pub(super) fn check_holds_as_much(
    tx: &mut impl Reads,
    acting: &Acting,
    member: &Member,
) -> Result<(), Stop> {
    let roles = role_assignments::roles_of(tx, acting.tenant, Holder::Member(member.id))?;
    let held = HeldPermissions::of(&roles, home(tx, acting)?);
    acting.check_holds(tx, &held)
}
