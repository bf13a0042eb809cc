//! By which programs tokens were asked for. Many tokens come from few programs, so a token's row holds a number, and the
//! name stands apart, once for a tenant and a day.
//!
//! The number is a hash of the name, and the name's id is made of it and of the day on which the token expires. So nothing
//! is looked up to write a token, any server comes to the same id, and names leave by partition like the tokens do.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, Text, Uuid as SqlUuid};
use grantor_domain::ids::{TenantId, TokenId};
use grantor_keys::{TokenHash, uuid_v7_millis};
use uuid::{Builder, Uuid};

use crate::error::StorageError;
use crate::schema::user_agents;
use crate::transaction::{FlowTx, Reads};

const DAY: u64 = 24 * 60 * 60 * 1_000;
/// Those bits of an id that are the number.
const NUMBER: u64 = (1 << 62) - 1;

/// Under which id the name with this number stands for a token with this id.
pub(crate) fn id(token: Uuid, number: i64) -> Uuid {
    let expiry = uuid_v7_millis(token);
    let mut rest = [0; 10];
    if let Some(last) = rest.last_chunk_mut() {
        *last = number.to_be_bytes();
    }
    Builder::from_unix_timestamp_millis(expiry - expiry % DAY, &rest).into_uuid()
}

/// The name of a program, as it stands for the tokens that expire on one day.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserAgent {
    tenant: Uuid,
    id: Uuid,
    name: String,
}

impl UserAgent {
    /// What stands for a token of this tenant with this id.
    pub fn of(tenant: TenantId, token: TokenId, name: String) -> Self {
        let hash = TokenHash::of(&name);
        let first = hash.as_bytes().first_chunk().copied().unwrap_or_default();
        Self {
            tenant: tenant.uuid(),
            id: id(token.uuid(), i64::from_be_bytes(first)),
            name,
        }
    }

    /// What the token's row holds of it.
    pub(crate) fn number(&self) -> i64 {
        let (_, low) = self.id.as_u64_pair();
        // Without the two highest bits it is not negative.
        (low & NUMBER).cast_signed()
    }
}

const PUT: &str = "INSERT INTO user_agents (tenant_id, id, name) \
     SELECT tenant_id, id, name FROM unnest($1, $2, $3) AS told (tenant_id, id, name) ON CONFLICT DO NOTHING";

/// Keeps these names; of those that are there already nothing is changed.
pub fn put(tx: &mut FlowTx<'_>, names: &[UserAgent]) -> Result<(), StorageError> {
    // Two servers that write the same names wait for each other in one order.
    let mut names: Vec<&UserAgent> = names.iter().collect();
    names.sort_unstable();
    names.dedup();
    let each = |part: fn(&UserAgent) -> Uuid| -> Vec<Uuid> {
        names.iter().map(|name| part(name)).collect()
    };
    let texts: Vec<&str> = names.iter().map(|name| name.name.as_str()).collect();
    diesel::sql_query(PUT)
        .bind::<Array<SqlUuid>, _>(each(|name| name.tenant))
        .bind::<Array<SqlUuid>, _>(each(|name| name.id))
        .bind::<Array<Text>, _>(texts)
        .execute(tx.connection)?;
    Ok(())
}

/// The names under these ids.
pub(crate) fn named(
    tx: &mut impl Reads,
    tenant: TenantId,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<HashMap<Uuid, String>, StorageError> {
    let mut ids: Vec<Uuid> = ids.into_iter().collect();
    ids.sort_unstable();
    ids.dedup();
    let rows: Vec<(Uuid, String)> = user_agents::table
        .filter(user_agents::tenant_id.eq(tenant.uuid()))
        .filter(user_agents::id.eq_any(ids))
        .select((user_agents::id, user_agents::name))
        .load(tx.connection())?;
    Ok(rows.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPIRY: u64 = 1_800_000_123_456;

    fn token(millis: u64) -> TokenId {
        TokenId::from_uuid(Builder::from_unix_timestamp_millis(millis, &[0xff; 10]).into_uuid())
    }

    fn named(millis: u64, name: &str) -> UserAgent {
        let tenant = TenantId::from_uuid(Uuid::nil());
        UserAgent::of(tenant, token(millis), name.to_owned())
    }

    #[test]
    fn all_tokens_that_expire_on_a_day_share_a_name_and_no_others() {
        let start = EXPIRY - EXPIRY % DAY;
        let on = |millis| named(millis, "export/1.4");
        assert_eq!(on(start), on(start + DAY - 1));
        assert_ne!(on(start).id, on(start + DAY).id);
        assert_ne!(on(start).id, on(start - 1).id);
        assert_ne!(on(start).id, named(start, "export/1.5").id);
    }

    #[test]
    fn the_id_comes_back_from_the_token_and_the_number() {
        for name in ["", "export/1.4", "curl/8", "a", "b", "c", "d", "e"] {
            let named = named(EXPIRY, name);
            assert_eq!(uuid_v7_millis(named.id), EXPIRY - EXPIRY % DAY);
            assert_eq!(named.id.get_version_num(), 7);
            assert!(named.number() > 0);
            assert_eq!(id(token(EXPIRY).uuid(), named.number()), named.id);
        }
    }
}
