//! From a presented token to the record that it claims to be.

use grantor_domain::ids::{ClientId, TenantId, TokenId};
use grantor_keys::{TokenPlace, peek_claims};
use grantor_storage::callers::TokenKey;

/// Reads what a token says of itself. Nothing of it is believed: it only tells where to look for the
/// record, and the hash that stands there proves the token or doesn't.
pub(crate) fn locate(token: &str) -> Option<TokenKey> {
    if let Some(place) = TokenPlace::of(token) {
        return Some(TokenKey {
            tenant: TenantId::from_uuid(place.tenant),
            client: ClientId::from_uuid(place.client),
            id: TokenId::from_uuid(place.id),
        });
    }
    let claims = peek_claims(token)?;
    let text = |name: &str| claims.get(name)?.as_str();
    Some(TokenKey {
        tenant: text("tenant")?.parse().ok()?,
        client: text("client_id")?.parse().ok()?,
        id: text("jti")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_token_of_ours_leads_nowhere() {
        for text in [
            "",
            "a.b.c",
            "gat_something",
            "e30.e30.e30",
            "\u{0}",
            &"x".repeat(100_000),
        ] {
            assert_eq!(locate(text), None);
        }
    }
}
