//! What a request to an endpoint is made of: a form, and a client's credentials by exactly one method.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use grantor_authority::PresentedCredentials;
use grantor_domain::ids::TenantId;
use grantor_protocol::auth_method::TokenEndpointAuthMethod;
use grantor_protocol::basic::BasicCredentials;
use grantor_protocol::error::{ErrorCode, OAuthError};
use grantor_protocol::form::Form;
use grantor_server_kit::{CallerAddress, user_agent};

use crate::answer::Oops;

/// The most bytes that a form may have.
pub const FORM_LIMIT: usize = 64 * 1024;

/// A form that was posted to an endpoint of a tenant's issuer, with who says to have sent it.
pub struct Posted {
    /// The issuer's tenant.
    pub tenant: TenantId,
    /// The parameters.
    pub form: Form,
    /// The client's credentials.
    pub credentials: PresentedCredentials,
    /// From where.
    pub ip: Option<IpAddr>,
    /// By what program.
    pub user_agent: Option<String>,
}

/// A form that was posted to an endpoint of no tenant's, with who says to have sent it.
pub struct PostedToAll {
    /// The parameters.
    pub form: Form,
    /// The client's credentials.
    pub credentials: PresentedCredentials,
    /// From where.
    pub ip: Option<IpAddr>,
}

impl FromRequest for Posted {
    type Error = Oops;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Oops>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let tenant = tenant(request);
        let user_agent = user_agent(request);
        let address = CallerAddress::from_request(request, payload);
        let received = received(request, payload);
        Box::pin(async move {
            let tenant = tenant?;
            let (form, credentials) = received.await?;
            let ip = address.await.ok().map(|address| address.0);
            Ok(Self {
                tenant,
                form,
                credentials,
                ip,
                user_agent,
            })
        })
    }
}

impl FromRequest for PostedToAll {
    type Error = Oops;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Oops>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let address = CallerAddress::from_request(request, payload);
        let received = received(request, payload);
        Box::pin(async move {
            let (form, credentials) = received.await?;
            let ip = address.await.ok().map(|address| address.0);
            Ok(Self {
                form,
                credentials,
                ip,
            })
        })
    }
}

/// Reads a form, and the credentials that come with it.
fn received(
    request: &HttpRequest,
    payload: &mut Payload,
) -> impl Future<Output = Result<(Form, PresentedCredentials), Oops>> + 'static {
    // RFC 6749 appendix B: parameters are encoded as application/x-www-form-urlencoded.
    let is_form = request
        .content_type()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded");
    let headers: Vec<Vec<u8>> = request
        .headers()
        .get_all(AUTHORIZATION)
        .map(|value| value.as_bytes().to_vec())
        .collect();
    let payload = web::Payload::from_request(request, payload);
    async move {
        if !is_form {
            return Err(Oops::NotAForm);
        }
        let body = match payload
            .await
            .map_err(|_| Oops::NotAForm)?
            .to_bytes_limited(FORM_LIMIT)
            .await
        {
            Ok(Ok(body)) => body,
            Ok(Err(error)) => {
                let sentence = format!("the body could not be read: {error}");
                return Err(OAuthError::new(ErrorCode::InvalidRequest, sentence).into());
            }
            Err(_) => return Err(Oops::TooLarge { limit: FORM_LIMIT }),
        };
        let form = Form::parse(&body)?;
        let credentials = credentials(&headers, &form)?;
        Ok((form, credentials))
    }
}

/// The tenant that the path names. What is no id is told like an unknown one.
pub fn tenant(request: &HttpRequest) -> Result<TenantId, Oops> {
    request
        .match_info()
        .get("tenant")
        .and_then(|text| text.parse().ok())
        .ok_or(Oops::NotFound)
}

/// A parameter that must be there.
pub fn required<'f>(form: &'f Form, name: &'static str) -> Result<&'f str, Oops> {
    form.get(name).ok_or_else(|| {
        OAuthError::new(
            ErrorCode::InvalidRequest,
            format!("the parameter {name} is missing"),
        )
        .into()
    })
}

impl Posted {
    /// A parameter that must be there.
    pub fn required(&self, name: &'static str) -> Result<&str, Oops> {
        required(&self.form, name)
    }
}

/// Takes the credentials from the header or from the form.
fn credentials(headers: &[Vec<u8>], form: &Form) -> Result<PresentedCredentials, Oops> {
    let unauthenticated =
        |sentence: String| Oops::from(OAuthError::new(ErrorCode::InvalidClient, sentence));
    let twice = || {
        // RFC 6749 §2.3: the client MUST NOT use more than one authentication method in each request.
        Oops::from(OAuthError::new(
            ErrorCode::InvalidRequest,
            "authenticate by one method alone: the Authorization header, or client_id and client_secret in the body",
        ))
    };
    let in_form = form.get("client_secret");
    match headers {
        [] => {
            let Some(client_id) = form.get("client_id") else {
                // RFC 6749 §5.2 invalid_client: no client authentication included.
                return Err(unauthenticated(
                    "authenticate with the Authorization header, or with client_id and client_secret in the body"
                        .to_owned(),
                ));
            };
            Ok(PresentedCredentials {
                client_id: client_id.to_owned(),
                client_secret: in_form.unwrap_or_default().to_owned(),
                // RFC 6749 §2.1: a public client can't keep a secret, and only names itself.
                method: match in_form {
                    Some(_) => TokenEndpointAuthMethod::ClientSecretPost,
                    None => TokenEndpointAuthMethod::None,
                },
            })
        }
        [header] => {
            if in_form.is_some() {
                return Err(twice());
            }
            let basic = BasicCredentials::parse(header)
                .map_err(|error| unauthenticated(error.to_string()))?
                .ok_or_else(|| {
                    unauthenticated("use the scheme Basic in the Authorization header".to_owned())
                })?;
            if form
                .get("client_id")
                .is_some_and(|client_id| client_id != basic.client_id)
            {
                let sentence =
                    "client_id in the body is not the client of the Authorization header";
                return Err(OAuthError::new(ErrorCode::InvalidRequest, sentence).into());
            }
            Ok(PresentedCredentials {
                client_id: basic.client_id,
                client_secret: basic.client_secret,
                method: TokenEndpointAuthMethod::ClientSecretBasic,
            })
        }
        _ => Err(twice()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(body: &str) -> Form {
        Form::parse(body.as_bytes()).unwrap()
    }

    fn code(result: Result<PresentedCredentials, Oops>) -> ErrorCode {
        match result.unwrap_err() {
            Oops::OAuth(error) => error.error,
            other => panic!("{other}"),
        }
    }

    fn basic() -> Vec<u8> {
        b"Basic YTpi".to_vec()
    }

    #[test]
    fn rfc6749_2_3_one_method_of_client_authentication_per_request() {
        assert!(credentials(&[basic()], &form("grant_type=x")).is_ok());
        assert!(credentials(&[basic()], &form("client_id=a")).is_ok());
        assert!(credentials(&[], &form("client_id=a&client_secret=b")).is_ok());
        assert_eq!(
            code(credentials(
                &[basic()],
                &form("client_id=a&client_secret=b")
            )),
            ErrorCode::InvalidRequest
        );
        assert_eq!(
            code(credentials(&[basic()], &form("client_secret=b"))),
            ErrorCode::InvalidRequest
        );
        assert_eq!(
            code(credentials(&[basic(), basic()], &form(""))),
            ErrorCode::InvalidRequest
        );
        assert_eq!(
            code(credentials(&[basic()], &form("client_id=other"))),
            ErrorCode::InvalidRequest
        );
    }

    #[test]
    fn rfc6749_5_2_no_or_bad_authentication_is_invalid_client() {
        assert_eq!(
            code(credentials(&[], &form("grant_type=x"))),
            ErrorCode::InvalidClient
        );
        assert_eq!(
            code(credentials(&[b"Basic %%%".to_vec()], &form(""))),
            ErrorCode::InvalidClient
        );
        assert_eq!(
            code(credentials(&[b"Bearer abc".to_vec()], &form(""))),
            ErrorCode::InvalidClient
        );
    }
}
