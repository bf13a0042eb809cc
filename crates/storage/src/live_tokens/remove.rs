//! Removing tokens one by one (`token_2`), in the transaction of the events that tell of it.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Timestamptz, Uuid as SqlUuid};
use grantor_domain::ids::{ClientId, MemberId, TokenId};
use grantor_domain::tenant::Tenant;
use uuid::Uuid;

use super::{Whose, alive, unexpired};
use crate::error::StorageError;
use crate::installation;
use crate::transaction::{ChangeTx, Connected};

/// A token that was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// Its id.
    pub id: TokenId,
    /// The client that got it.
    pub client: ClientId,
    /// The member for whom the client acted, if it did for one.
    pub member: Option<MemberId>,
}

#[derive(QueryableByName)]
struct RemovedRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    client_id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    member_id: Option<Uuid>,
}

/// Removes those of these tokens that are alive, and tells which they were. Of what is dead already, or somebody else's,
/// nothing is told. No decision rests on a token, so no revision is raised and nothing waits for the change feed.
pub fn remove(
    tx: &mut ChangeTx<'_>,
    tenant: &Tenant,
    whose: Whose,
    ids: &[TokenId],
) -> Result<Vec<Removed>, StorageError> {
    let now = tx.now();
    let epoch = installation::epoch(tx)?;
    let (first, end) = unexpired(now);
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let statement = format!(
        "UPDATE access_tokens AS token SET revoked_at = $9 \
         WHERE tenant_id = $1 AND {} AND id = ANY ($6) AND id >= $4 AND id < $5 AND {} \
         RETURNING token.id, token.client_id, token.member_id",
        whose.condition(),
        alive()
    );
    let rows: Vec<RemovedRow> = diesel::sql_query(statement)
        .bind::<SqlUuid, _>(tenant.id.uuid())
        .bind::<BigInt, _>(epoch)
        .bind::<BigInt, _>(tenant.suspension.cut_below)
        .bind::<SqlUuid, _>(first)
        .bind::<SqlUuid, _>(end)
        .bind::<Array<SqlUuid>, _>(ids)
        .bind::<SqlUuid, _>(whose.client())
        .bind::<SqlUuid, _>(whose.member())
        .bind::<Timestamptz, _>(now)
        .load(tx.connection())?;
    Ok(rows
        .into_iter()
        .map(|row| Removed {
            id: TokenId::from_uuid(row.id),
            client: ClientId::from_uuid(row.client_id),
            member: row.member_id.map(MemberId::from_uuid),
        })
        .collect())
}
