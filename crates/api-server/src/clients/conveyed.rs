//! What whoever acts as a client comes by (`role_3`).

use grantor_domain::client::ClientSettings;
use grantor_domain::ids::ClientId;
use grantor_domain::permission::Permission;
use grantor_domain::role::HeldPermissions;
use grantor_storage::role_assignments::Holder;
use grantor_storage::{Reads, enablements, organizations, role_assignments};

use crate::call::{Acting, Stop};
use crate::role_assignments::home;

/// Demands that the caller holds whatever a client with these settings may do: what its service roles permit, as far as
/// its scopes name it, each over its organization; and clients wherever it is enabled. Otherwise whoever gives it a
/// secret, or opens it further, would do through it what they may not do themselves.
pub fn check_may_act_as(
    tx: &mut impl Reads,
    acting: &Acting,
    client: ClientId,
    settings: &ClientSettings,
) -> Result<(), Stop> {
    let tenant = acting.tenant;
    let home = home(tx, acting)?;
    let roles = role_assignments::roles_of(tx, tenant, Holder::Client(client))?;
    let conveyed = HeldPermissions::of(&roles, home).within(&settings.allowed_scopes);
    acting.check_holds(tx, &conveyed)?;
    // client_12: its tokens say that it acts there.
    for (organization, _) in enablements::of(tx, tenant, client)? {
        let path = organizations::path(tx, tenant, organization)?;
        acting
            .caller
            .may_in(Permission::ClientsWrite, &path)
            .map_err(|refusal| acting.refuse(refusal))?;
    }
    Ok(())
}

/// Whether a client can do more with the new settings than with the old ones, or be used by more: then whoever changes
/// them must be allowed to act as it.
pub fn opens(old: &ClientSettings, new: &ClientSettings) -> bool {
    let further_scopes = !new
        .allowed_scopes
        .difference(&old.allowed_scopes)
        .is_empty();
    let further_grants = !new.grant_types.is_subset(&old.grant_types);
    let unproved = new.client_type != old.client_type;
    // From where it may come is a fence of whoever put it there.
    further_scopes || further_grants || unproved || new.allowed_ips != old.allowed_ips
}
