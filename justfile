# Daily tasks, for those who have `just` (https://just.systems). Each is a plain command that works without it.

# List the tasks
[private]
default:
    @just --list

# Start everything with a private PostgreSQL in ./.grantor
dev *arguments:
    scripts/dev {{ arguments }}

# Run all tests; arguments go to cargo test
test *arguments:
    scripts/test {{ arguments }}

# Try out for some minutes, or an hour on a small machine, that revocation is exact; prints a report
endurance *arguments:
    GRANTOR_ENDURANCE=full cargo test --release --locked -p grantor-acceptance --test suite endurance:: -- --nocapture --test-threads=1 {{ arguments }}

# Measure plain tokens per second beside what this machine could do
bench *arguments:
    cargo run --release --locked -p grantor-bench -- {{ arguments }}

# Format the code
format:
    cargo fmt --all

# Check formatting and lints, as CI does
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Run everything that CI runs (installs what is missing)
ci:
    .ci/run

# Show which migrations GRANTOR_OWNER_DATABASE_URL has and lacks
migrate-status:
    cargo run --locked -- migrate --status

# Apply the pending migrations
migrate:
    cargo run --locked -- migrate

# Print the OpenAPI documents
openapi:
    cargo run --locked -- openapi

# Compare the generated files (schema.rs, openapi/) with what they are generated from
generated:
    scripts/check-generated schema
    scripts/check-generated openapi

# Check licences, duplicates, sources and advisories of the dependencies
deny:
    cargo deny --locked check

# Check the shell scripts
scripts:
    shellcheck --external-sources .ci/run scripts/*

# Start PostgreSQL and both servers in containers
up:
    docker compose up --detach --build

# Delete the private PostgreSQL of `just dev` with all its data
[confirm("Delete ./.grantor with all its data?")]
clean-state:
    rm -rf .grantor
