//! What leaves for somewhere else: posted in the transaction of the change that it tells of, sent afterwards,
//! and again until it got there. So nothing is sent of a change that did not happen, and nothing is forgotten.
//!
//! One channel is there, mail. What is posted is sealed: it names people, and may one day hold a link that is
//! as good as a secret.

mod letter;
mod worker;

use std::sync::Arc;

use grantor_domain::ids::{DeliveryId, TenantId};
use grantor_keys::{Entropy, Keyring, SealContext};
use grantor_storage::deliveries::{Channel, NewDelivery};
use grantor_storage::{ChangeTx, deliveries};

use crate::Api;
use crate::problem::Problem;

pub use letter::Letter;
use letter::Posted;
pub use worker::{Mailing, send_mails};

/// Where letters are posted.
pub struct Outbox {
    keyring: Keyring,
    entropy: Arc<dyn Entropy>,
}

impl Outbox {
    /// The outbox of this installation.
    pub fn of(api: &Api) -> Self {
        Self {
            keyring: api.authority.keyring().clone(),
            entropy: api.authority.database().entropy().clone(),
        }
    }

    /// Posts a letter: it leaves when, and only when, the transaction is committed.
    pub fn post(
        &self,
        tx: &mut ChangeTx<'_>,
        tenant: TenantId,
        letter: &Letter,
    ) -> Result<(), Problem> {
        let id = deliveries::new_id(tx.now(), self.entropy.as_ref())?;
        let plain = letter.written(tx.now())?;
        let sealed = self
            .keyring
            .seal(self.entropy.as_ref(), &place(tenant, id), &plain)
            .map_err(|error| {
                log::error!("a letter can't be sealed: {error}");
                Problem::Internal
            })?;
        let delivery = NewDelivery {
            id,
            channel: Channel::Mail,
            sealed,
        };
        deliveries::enqueue(tx, tenant, &delivery)?;
        Ok(())
    }
}

/// Where the sealed letter lies.
fn place(tenant: TenantId, id: DeliveryId) -> SealContext<'static> {
    SealContext {
        tenant: Some(tenant.uuid()),
        table: "deliveries",
        row: id.uuid(),
    }
}
