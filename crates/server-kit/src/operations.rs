//! What operators and their machines ask, on a port of their own: `/healthz`, `/readyz`, `/metrics`.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::metrics::Metrics;
use crate::readiness::Readiness;

/// Adds the three routes.
pub fn configure(config: &mut web::ServiceConfig, metrics: Metrics, readiness: Readiness) {
    config
        .app_data(web::Data::new(metrics))
        .app_data(web::Data::new(readiness))
        .service(web::resource("/healthz").get(healthz))
        .service(web::resource("/readyz").get(readyz))
        .service(web::resource("/metrics").get(render));
}

/// 200 as long as the process answers at all. It looks at nothing else, since restarting mends no database.
async fn healthz() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(json!({ "healthy": true }))
}

async fn readyz(readiness: web::Data<Readiness>) -> HttpResponse {
    let reasons = readiness.reasons().await;
    let mut answer = if reasons.is_empty() {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    };
    answer
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(json!({ "ready": reasons.is_empty(), "reasons": reasons }))
}

async fn render(metrics: web::Data<Metrics>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
        .body(metrics.render())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_web::App;
    use actix_web::http::{Method, StatusCode};
    use actix_web::test::{TestRequest, call_service, init_service, read_body};

    use super::*;

    async fn get(metrics: &Metrics, readiness: &Readiness, path: &str) -> (StatusCode, String) {
        let app = init_service(
            App::new().configure(|config| configure(config, metrics.clone(), readiness.clone())),
        )
        .await;
        let answer = call_service(&app, TestRequest::get().uri(path).to_request()).await;
        let status = answer.status();
        (
            status,
            String::from_utf8(read_body(answer).await.to_vec()).unwrap(),
        )
    }

    #[actix_web::test]
    async fn readiness_goes_and_health_stays() {
        let (metrics, readiness) = (Metrics::new(), Readiness::new());
        assert_eq!(
            get(&metrics, &readiness, "/readyz").await,
            (StatusCode::OK, r#"{"ready":true,"reasons":[]}"#.to_owned())
        );
        readiness.register("database", || async { Err("unreachable".to_owned()) });
        assert_eq!(
            get(&metrics, &readiness, "/readyz").await,
            (
                StatusCode::SERVICE_UNAVAILABLE,
                r#"{"ready":false,"reasons":["database: unreachable"]}"#.to_owned()
            )
        );
        readiness.set_draining();
        let (status, body) = get(&metrics, &readiness, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.contains("draining"), "{body}");
        assert_eq!(
            get(&metrics, &readiness, "/healthz").await.0,
            StatusCode::OK
        );
    }

    #[actix_web::test]
    async fn metrics_are_shown() {
        let metrics = Metrics::new();
        metrics.count_request("api", &Method::GET, "/a", "200", Duration::ZERO);
        let (status, body) = get(&metrics, &Readiness::new(), "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains(r#"route="/a""#), "{body}");
    }
}
