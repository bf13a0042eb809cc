//! Making a client public or confidential (`client_4`, `client_6`).

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::client::ClientType as DomainType;
use grantor_domain::client_rules::{self, default_auth_method};
use grantor_domain::ids::ClientId;
use grantor_domain::lifetime::RefreshTokenLifetime;
use grantor_domain::permission::Permission;
use grantor_domain::redirect_uri::RedirectUri;
use grantor_protocol::auth_method::TokenEndpointAuthMethod as Method;
use grantor_protocol::grant_type::GrantType as Grant;
use grantor_storage::{Change, client_secrets, clients};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::conveyed::{check_may_act_as, opens};
use super::input::distinct_grants;
use super::{ClientOutput, find_for_change, for_the_log, show, shown};
use crate::answer::Answer;
use crate::call::{Call, confirm};
use crate::operation::{Operation, Success, Tag};
use crate::problem::{FieldFault, Problem, ProblemCode};
use crate::requests::{Fields, Json};
use crate::words::{ClientProfile, ClientType, GrantType, TokenEndpointAuthMethod};

/// What a client is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TypeChange, example = json!({ "type": "public", "confirm_name": "Web shop" }))]
pub struct TypeInput {
    /// Its new type.
    #[serde(rename = "type")]
    client_type: ClientType,
    /// The client's name, exactly: becoming public removes every secret.
    #[schema(example = "Web shop", max_length = 100)]
    confirm_name: String,
    /// Its grants from then on, where these change with the type: a public client can't have `client_credentials`.
    #[schema(value_type = Option<HashSet<GrantType>>, example = json!(["authorization_code", "refresh_token"]),
        min_items = 1, max_items = 3)]
    grant_types: Option<Vec<GrantType>>,
    /// Its profile from then on, where that forbids the type.
    profile: Option<ClientProfile>,
    /// How it authenticates from then on; what goes with the type unless told otherwise.
    token_endpoint_auth_method: Option<TokenEndpointAuthMethod>,
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post(
            "changeClientType",
            "/v1/tenants/{tenant}/clients/{client}/change-type",
        )
        .about(
            Tag::Clients,
            "Make a client public or confidential",
            "Becoming public removes every secret in the same change, and is refused while the client has the grant \
             `client_credentials`, unless `grant_types` leaves that out. Becoming confidential leaves it without a \
             secret: it gets no token until one is generated. What it is already changes nothing.",
        )
        .needs(Permission::ClientsWrite)
        .conditional()
        .takes::<Json<TypeInput>>()
        .answers::<ClientOutput>(Success::Ok)
        .tagged()
        .may_fail(&[ProblemCode::ConfirmationMismatch])
        .records(&[Action::ClientTypeChanged])
        .by(change_type),
    ]
}

async fn change_type(
    call: Call,
    Json(input): Json<TypeInput>,
) -> Result<Answer<ClientOutput>, Problem> {
    let id: ClientId = call.id("client")?;
    call.change(move |tx, acting| {
        let tenant = acting.tenant;
        let client = find_for_change(tx, acting, id)?;
        confirm(
            Some(&input.confirm_name),
            client.settings.name.as_str(),
            FieldFault::pointer(
                "/confirm_name",
                "must be the client's name, exactly; nothing was changed",
            ),
        )?;
        let to: DomainType = input.client_type.into();
        if client.settings.client_type == to {
            return Ok(Change::Nothing(show(tx, acting, &client)?));
        }
        let mut settings = client.settings.clone();
        settings.client_type = to;
        settings.auth_method = match input.token_endpoint_auth_method {
            Some(method) => Method::from(method),
            None => default_auth_method(to),
        };
        let mut fields = Fields::default();
        if let Some(profile) = input.profile {
            settings.profile = profile.into();
            // Which redirect URIs it may have hangs on the profile.
            let mut uris = settings
                .redirect_uris
                .iter()
                .chain(&settings.post_logout_redirect_uris);
            if let Some(error) =
                uris.find_map(|uri| RedirectUri::parse(uri.as_str(), settings.profile).err())
            {
                fields.fault(
                    "/profile",
                    format_args!("has no place for a redirect URI of the client, which {error}"),
                );
            }
        }
        if let Some(grants) = &input.grant_types {
            settings.grant_types = distinct_grants(&mut fields, grants);
            let refreshes = settings.grant_types.contains(&Grant::RefreshToken);
            settings.refresh_token_lifetime = settings
                .refresh_token_lifetime
                .or(Some(RefreshTokenLifetime::DEFAULT))
                .filter(|_| refreshes);
        }
        // client_5: what only a confidential client may leave away comes back with the change.
        settings.require_pkce |= to == DomainType::Public;
        for (field, error) in client_rules::check(&settings) {
            fields.fault(&format!("/{field}"), error);
        }
        if !fields.is_empty() {
            return Err(fields.into_problem().into());
        }
        if opens(&client.settings, &settings) {
            check_may_act_as(tx, acting, id, &settings)?;
        }
        // client_6: in the same transaction.
        let removed = client_secrets::delete_all(tx, tenant, id)?;
        clients::update(tx, tenant, id, &client.settings, &settings)?;
        let mut after = for_the_log(&settings, client.organization);
        if let Some(after) = after.as_object_mut() {
            after.insert("removed_secret_ids".to_owned(), json!(removed));
        }
        let event = Event::new(tenant, Action::ClientTypeChanged, Target::Client(id))
            .before(for_the_log(&client.settings, client.organization))
            .after(after);
        Ok(Change::made(shown(tx, acting, id)?, event))
    })
    .await
}
