//! How PostgreSQL goes about lists of live tokens.

use diesel::connection::SimpleConnection as _;
use grantor_domain::ids::{ClientId, MemberId};
use grantor_test_support::FixedClock;
use uuid::Uuid;

use super::clients::filled;
use super::{id_of, tenant};
use crate::listing::Place;
use crate::live_tokens::{self, Whose};
use crate::stored;
use crate::tenants;

#[test]
fn live_tokens_are_gone_along_in_order_whosever_they_are() {
    let mut plans = filled();
    // A client that mostly acts for others; and the setting that the function has while it looks.
    plans
        .connection
        .batch_execute(
            "INSERT INTO access_tokens (tenant_id, client_id, id, token_hash, member_id, scopes, audiences, issued_at, epoch, \
               decided_at) \
             SELECT tenant_id, client_id, (left(id::text, 24) || lpad(to_hex(n), 12, '0'))::uuid, token_hash, \
               pg_temp.id_of(10), '{}', '{}', issued_at, epoch, decided_at \
             FROM access_tokens, generate_series(1, 3000) AS n \
             WHERE tenant_id = pg_temp.id_of(1) AND client_id = pg_temp.id_of(1000); \
             ANALYZE access_tokens; SET enable_sort = off",
        )
        .unwrap();
    let (client, member) = (
        ClientId::from_uuid(id_of(1_000)),
        MemberId::from_uuid(id_of(9)),
    );
    let own = "using access_tokens_20250601t1200_pkey on";
    let of_member = "using access_tokens_20250601t1200_tenant_id_member_id_client_id_i_idx on";
    let later = FixedClock::start().timestamp_millis() + 3_600_000;
    let at = |key: Option<Uuid>| -> Option<Place> {
        Some((key.map(|key| key.to_string()), stored::lowest_id(later)))
    };
    for (whose, index, after) in [
        (Whose::Client(client), own, at(None)),
        (Whose::ClientFor(client, member), of_member, at(None)),
        (Whose::Member(member), of_member, at(Some(id_of(5_000)))),
    ] {
        for after in [None, after] {
            let sent = plans.heard(|tx| {
                let found = tenants::find(tx, tenant())?.unwrap();
                let now = FixedClock::start();
                live_tokens::list(tx, &found, whose, now, after.clone(), 51)
            });
            let mut looked = 0;
            for heard in &sent {
                if !heard.sql.contains("FROM (SELECT client_id, id, member_id") {
                    continue;
                }
                looked += 1;
                for plan in plans.explained(&heard.sql, &heard.types, &heard.values) {
                    assert!(plan.contains(index), "{whose:?} {after:?}: {plan}");
                    assert!(
                        !plan.contains("Seq Scan on access_tokens_20250601t1200"),
                        "{plan}"
                    );
                    assert!(!plan.contains("Seq Scan on suspensions"), "{plan}");
                    assert!(!plan.contains("Hash"), "{plan}");
                    assert!(!plan.contains("->  Sort"), "{plan}");
                }
            }
            assert!(looked > 0, "{sent:?}");
        }
    }
}
