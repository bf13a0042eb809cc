//! Where a member sets a password by a link: the built-in page, and the same for a tenant's own page.
//!
//! The token in the body is what proves the right to it, so there is no cookie that another site could ride on.

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, get, post, web};
use grantor_authority::{NotRedeemed, Redemption};
use grantor_domain::ids::TenantId;
use grantor_protocol::error::{ErrorCode, OAuthError};
use grantor_protocol::form::Form;
use grantor_server_kit::{CallerAddress, log_failure, request_id, user_agent};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::TokenService;
use crate::answer::{Oops, never_stored};
use crate::credentials_page::{Mistake, Page, PlainToken};
use crate::requests::tenant;

/// The most bytes that a request may have: two passwords, each letter written as three, and a token.
const LIMIT: usize = 8 * 1024;

/// What the built-in page's form sends.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(
    dead_code,
    reason = "only describes the form, which is parsed strictly by hand"
)]
pub struct CredentialsForm {
    /// The link's token.
    token: String,
    /// The new password.
    password: String,
    /// The same again.
    password_again: String,
}

/// What a tenant's own page sends.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// The link's token.
    #[schema(value_type = String)]
    token: Zeroizing<String>,
    /// The new password.
    #[schema(value_type = String, example = "correct horse battery staple")]
    password: Zeroizing<String>,
}

/// Why a password was not set.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialsError {
    /// The link was never good, or is not any more.
    LinkNotGood,
    /// The password is refused; the link is as good as before.
    WeakPassword,
}

/// What a tenant's own page is told when a password was not set.
#[derive(Debug, Serialize, ToSchema)]
pub struct CredentialsRefusal {
    /// Why, in a word.
    error: CredentialsError,
    /// Why, and the mend, in a sentence.
    error_description: String,
}

/// The page on which a member sets a password by a link
///
/// Opening it does not use the link up.
#[utoipa::path(
    operation_id = "credentialsPage", tag = "Credentials",
    params(("tenant" = String, Path, description = "The tenant's id"),
        ("token" = Option<String>, Query, description = "The link's token")),
    responses((status = 200, body = String, content_type = "text/html", description = "The form."),
        (status = 410, body = String, content_type = "text/html", description = "The link is not good, or not any more."),
        (status = 500, body = String, content_type = "text/html", description = "Something of ours failed."),
        (status = 503, body = String, content_type = "text/html", description = "Try again in a moment."),
        (status = "default", body = OAuthError)))]
#[get("/t/{tenant}/credentials")]
pub async fn show(
    service: web::Data<TokenService>,
    request: HttpRequest,
) -> Result<HttpResponse, Oops> {
    let tenant = tenant(&request)?;
    let query = Form::parse(request.query_string().as_bytes()).ok();
    let token = query.as_ref().and_then(|query| query.get("token"));
    // Nothing but a token gets into the page; what is none is looked up all the same, for whether there is such an
    // issuer.
    let plain = token.and_then(PlainToken::parse);
    let looked_up = plain.map_or("", PlainToken::as_str).to_owned().into();
    let rule = service
        .authority
        .password_rule(tenant, looked_up, service.now());
    match (rule.await, plain) {
        (Ok(least), Some(token)) => Ok(Page::Form {
            token,
            least: Some(least),
            mistake: None,
        }
        .answer()),
        (Ok(_), None) => Ok(Page::NotGood.answer()),
        (Err(why), _) => Ok(refused_page(why)?.answer()),
    }
}

/// Set a password by a link
///
/// With a form it answers as a page, with JSON as JSON. A password that is refused leaves the link as good as before.
/// Whatever is wrong with a link, the answer is the same.
#[utoipa::path(
    operation_id = "setPassword", tag = "Credentials",
    params(("tenant" = String, Path, description = "The tenant's id")),
    request_body(content((NewPassword = "application/json"),
        (CredentialsForm = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = String, content_type = "text/html", description = "The password is set (form)."),
        (status = 204, description = "The password is set (JSON)."),
        (status = 410, description = "The link is not good, or not any more.",
            content((CredentialsRefusal = "application/json"), (String = "text/html"))),
        (status = 422, description = "The password is refused.",
            content((CredentialsRefusal = "application/json"), (String = "text/html"))),
        (status = "default", description = "Any other error.",
            content((OAuthError = "application/json"), (String = "text/html")))))]
#[post("/t/{tenant}/credentials")]
pub async fn redeem(
    service: web::Data<TokenService>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Oops> {
    let tenant = tenant(&request)?;
    let kind = request.content_type();
    let is_form = kind.eq_ignore_ascii_case("application/x-www-form-urlencoded");
    if !is_form && !kind.eq_ignore_ascii_case("application/json") {
        return Err(Oops::OtherMediaType(
            "application/json or application/x-www-form-urlencoded",
        ));
    }
    // Whoever says that it is too large is believed, and need not send it.
    let said = request.headers().get(CONTENT_LENGTH);
    let said = said.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let read = match said {
        Some(length) if length > LIMIT => None,
        _ => payload.to_bytes_limited(LIMIT).await.ok(),
    };
    let body = match read {
        Some(body) => body.ok(),
        None if is_form => return Ok(Page::TooLarge.answer()),
        None => return Err(Oops::TooLarge { limit: LIMIT }),
    };
    if is_form {
        let form = body.and_then(|body| Form::parse(&body).ok());
        let page = match &form {
            Some(form) => by_form(&service, &request, tenant, form).await?,
            None => Page::Unreadable,
        };
        Ok(page.answer())
    } else {
        by_json(&service, &request, tenant, &body.unwrap_or_default()).await
    }
}

async fn by_form<'a>(
    service: &TokenService,
    request: &HttpRequest,
    tenant: TenantId,
    form: &'a Form,
) -> Result<Page<'a>, Oops> {
    // Fetch Metadata §2.1: the browser says whether another site made it send this.
    let from = request.headers().get("sec-fetch-site");
    if from.is_some_and(|site| site.as_bytes() == b"cross-site") {
        return Ok(Page::CrossSite);
    }
    let token = form.get("token").and_then(PlainToken::parse);
    let looked_up = token.map_or("", PlainToken::as_str).to_owned().into();
    let rule = service
        .authority
        .password_rule(tenant, looked_up, service.now());
    let (least, token) = match (rule.await, token) {
        (Ok(least), Some(token)) => (least, token),
        (Ok(_), None) => return Ok(Page::NotGood),
        (Err(why), _) => return refused_page(why),
    };
    let again = |mistake| Page::Form {
        token,
        least: Some(least),
        mistake: Some(mistake),
    };
    let passwords = (form.get("password"), form.get("password_again"));
    let password = match passwords {
        (Some(password), Some(same)) if password == same => password,
        (Some(_), Some(_)) => return Ok(again(Mistake::Different)),
        _ => return Ok(again(Mistake::Missing)),
    };
    let redemption = redemption(
        request,
        tenant,
        token.as_str().to_owned(),
        password.to_owned(),
    );
    match service.authority.redeem(redemption, service.now()).await {
        Ok(_) => Ok(Page::Done),
        Err(NotRedeemed::Weak(why)) => Ok(again(Mistake::Weak(why))),
        Err(NotRedeemed::Failed(failure)) if failure.is_unavailable() => {
            log::warn!("{failure}");
            Ok(again(Mistake::Busy))
        }
        Err(why) => refused_page(why),
    }
}

async fn by_json(
    service: &TokenService,
    request: &HttpRequest,
    tenant: TenantId,
    body: &[u8],
) -> Result<HttpResponse, Oops> {
    let invalid = |sentence: String| OAuthError::new(ErrorCode::InvalidRequest, sentence);
    let other = "send a JSON object with two texts, token and password, and nothing else";
    let parsed: Result<NewPassword, _> = serde_json::from_slice(body);
    let NewPassword { token, password } = parsed.map_err(|error| {
        // What the parser says could repeat a password.
        invalid(if error.is_data() {
            other.to_owned()
        } else {
            let (line, column) = (error.line(), error.column());
            format!(
                "the body is not JSON (line {line}, column {column}); send {{\"token\": …, \"password\": …}}"
            )
        })
    })?;
    // A list of two texts would be taken as well.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(invalid(other.to_owned()).into());
    }
    let redemption = Redemption {
        token,
        password,
        ..redemption(request, tenant, String::new(), String::new())
    };
    match service.authority.redeem(redemption, service.now()).await {
        Ok(_) => Ok(never_stored(&mut HttpResponse::NoContent()).finish()),
        Err(NotRedeemed::NoSuchTenant) => Err(Oops::NotFound),
        Err(NotRedeemed::Failed(failure)) => Err(failure.into()),
        Err(why @ NotRedeemed::NotGood) => Ok(refusal(
            StatusCode::GONE,
            CredentialsError::LinkNotGood,
            why.to_string(),
        )),
        Err(why @ NotRedeemed::Weak(_)) => Ok(refusal(
            StatusCode::UNPROCESSABLE_ENTITY,
            CredentialsError::WeakPassword,
            why.to_string(),
        )),
    }
}

fn refusal(status: StatusCode, error: CredentialsError, error_description: String) -> HttpResponse {
    never_stored(&mut HttpResponse::build(status)).json(CredentialsRefusal {
        error,
        error_description,
    })
}

fn redemption(
    request: &HttpRequest,
    tenant: TenantId,
    token: String,
    password: String,
) -> Redemption {
    Redemption {
        tenant,
        token: token.into(),
        password: password.into(),
        ip: Some(CallerAddress::of(request).0),
        user_agent: user_agent(request),
        request_id: Some(request_id(request)),
    }
}

/// The page that says why a password can't be set; nothing to be said on a page is an error as everywhere.
fn refused_page(why: NotRedeemed) -> Result<Page<'static>, Oops> {
    match why {
        NotRedeemed::NoSuchTenant => Err(Oops::NotFound),
        NotRedeemed::NotGood | NotRedeemed::Weak(_) => Ok(Page::NotGood),
        NotRedeemed::Failed(failure) if failure.is_unavailable() => {
            log::warn!("{failure}");
            Ok(Page::Unavailable)
        }
        NotRedeemed::Failed(failure) => {
            log_failure(&failure);
            Ok(Page::Failed)
        }
    }
}
