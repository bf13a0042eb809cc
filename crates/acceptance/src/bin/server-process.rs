//! Either server as a process of its own, for tests that stop, freeze and kill it.

#[actix_web::main]
async fn main() {
    grantor_acceptance::program::main().await;
}
