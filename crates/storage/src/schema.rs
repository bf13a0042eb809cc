// Generated from the migrated database. Do not edit; write it anew with
// `GRANTOR_WRITE_SCHEMA=1 cargo test -p grantor-storage schema`.

diesel::table! {
    access_tokens (tenant_id, client_id, id) {
        tenant_id -> Uuid,
        client_id -> Uuid,
        id -> Uuid,
        token_hash -> Bytea,
        member_id -> Nullable<Uuid>,
        grant_id -> Nullable<Uuid>,
        session_id -> Nullable<Uuid>,
        actor_id -> Nullable<Uuid>,
        scopes -> Array<Text>,
        audiences -> Array<Text>,
        confirmation -> Nullable<Jsonb>,
        auth_time -> Nullable<Timestamptz>,
        acr -> Nullable<Text>,
        amr -> Nullable<Array<Text>>,
        issued_at -> Timestamptz,
        epoch -> Int8,
        decided_at -> Int8,
        revoked_at -> Nullable<Timestamptz>,
        ip -> Nullable<Text>,
        user_agent -> Nullable<Text>,
        family_id -> Nullable<Uuid>,
        user_agent_number -> Nullable<Int8>,
    }
}

diesel::table! {
    audit_events (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        at -> Timestamptz,
        actor_kind -> Text,
        actor_tenant_id -> Nullable<Uuid>,
        actor_name -> Text,
        action -> Text,
        schema_version -> Int4,
        target_kind -> Text,
        target_id -> Text,
        before_change -> Nullable<Jsonb>,
        after_change -> Nullable<Jsonb>,
        ip -> Nullable<Text>,
        user_agent -> Nullable<Text>,
        request_id -> Nullable<Text>,
        erased_at -> Nullable<Timestamptz>,
        touched -> Nullable<Array<Uuid>>,
        subjects -> Nullable<Array<Text>>,
        cuts -> Nullable<Array<Uuid>>,
        actor_client -> Nullable<Text>,
    }
}

diesel::table! {
    authenticators (tenant_id, member_id, kind) {
        tenant_id -> Uuid,
        member_id -> Uuid,
        kind -> Text,
        verifier -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    change_feed (singleton) {
        singleton -> Bool,
        floor -> Int8,
        span -> Int8,
        ahead -> Int8,
        keep_for -> Interval,
    }
}

diesel::table! {
    changes (tenant_id, sequence) {
        tenant_id -> Uuid,
        sequence -> Int8,
        audit_event_id -> Uuid,
        action -> Text,
        schema_version -> Int4,
        target_kind -> Text,
        target_id -> Text,
        touched -> Array<Uuid>,
        subjects -> Array<Text>,
        at -> Timestamptz,
    }
}

diesel::table! {
    client_alerts (tenant_id, client_id, kind) {
        tenant_id -> Uuid,
        client_id -> Uuid,
        kind -> Text,
        noted_at -> Nullable<Timestamptz>,
        raised_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    client_enablements (tenant_id, client_id, organization_id) {
        tenant_id -> Uuid,
        client_id -> Uuid,
        organization_id -> Uuid,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    client_failures (tenant_id, client_id, id, kind) {
        tenant_id -> Uuid,
        client_id -> Uuid,
        id -> Uuid,
        kind -> Text,
        failures -> Int8,
    }
}

diesel::table! {
    client_secrets (tenant_id, client_id, id) {
        tenant_id -> Uuid,
        client_id -> Uuid,
        id -> Uuid,
        hint -> Text,
        verifier -> Text,
        created_by -> Text,
        created_at -> Timestamptz,
        expires_at -> Nullable<Timestamptz>,
        revoked_at -> Nullable<Timestamptz>,
        kind -> Text,
        created_by_member -> Nullable<Uuid>,
        due_since -> Nullable<Timestamptz>,
        due_why -> Nullable<Text>,
        due_cause -> Nullable<Text>,
        due_former_owner -> Nullable<Uuid>,
    }
}

diesel::table! {
    client_words (tenant_id, client_id, word) {
        tenant_id -> Uuid,
        word -> Text,
        client_id -> Uuid,
    }
}

diesel::table! {
    clients (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        organization_id -> Uuid,
        kind -> Text,
        name -> Text,
        description -> Text,
        client_type -> Text,
        profile -> Text,
        grant_types -> Array<Text>,
        auth_method -> Text,
        allowed_scopes -> Array<Text>,
        require_requested_scopes -> Bool,
        access_token_seconds -> Int4,
        owner_name -> Nullable<Text>,
        owner_email -> Text,
        revision -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        secret_updated_at -> Nullable<Timestamptz>,
        homepage -> Nullable<Text>,
        logo -> Nullable<Text>,
        redirect_uris -> Array<Text>,
        post_logout_redirect_uris -> Array<Text>,
        refresh_token_seconds -> Nullable<Int4>,
        require_pkce -> Bool,
        allowed_ips -> Array<Text>,
        owner_id -> Nullable<Uuid>,
        status -> Text,
        tokens_per_minute -> Nullable<Int4>,
        max_live_tokens -> Nullable<Int4>,
    }
}

diesel::table! {
    credential_links (tenant_id, member_id, id) {
        tenant_id -> Uuid,
        member_id -> Uuid,
        id -> Uuid,
        purpose -> Text,
        token_hash -> Bytea,
        address -> Text,
        used_at -> Nullable<Timestamptz>,
        revoked_at -> Nullable<Timestamptz>,
        shown -> Bool,
        created_at -> Timestamptz,
        epoch -> Int8,
    }
}

diesel::table! {
    deliveries (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        channel -> Text,
        sealed_payload -> Bytea,
        attempts -> Int4,
        next_attempt_at -> Timestamptz,
        leased_until -> Nullable<Timestamptz>,
        delivered_at -> Nullable<Timestamptz>,
        failed_at -> Nullable<Timestamptz>,
        last_error -> Nullable<Text>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    idempotency_records (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        key_hash -> Bytea,
        fingerprint -> Bytea,
        sealed_answer -> Bytea,
    }
}

diesel::table! {
    installation (singleton) {
        singleton -> Bool,
        epoch -> Int8,
        master_key_check -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    last_uses (tenant_id, subject_id) {
        tenant_id -> Uuid,
        subject_id -> Uuid,
        used_at -> Timestamptz,
    }
}

diesel::table! {
    member_words (tenant_id, member_id, word) {
        tenant_id -> Uuid,
        word -> Text,
        member_id -> Uuid,
    }
}

diesel::table! {
    members (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        name -> Text,
        email -> Text,
        revision -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        organization_id -> Uuid,
        status -> Text,
        email_key -> Text,
    }
}

diesel::table! {
    organizations (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        parent_id -> Nullable<Uuid>,
        name -> Text,
        revision -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    parted_tables (name) {
        name -> Text,
        span -> Interval,
        ahead -> Interval,
        keep_for -> Interval,
    }
}

diesel::table! {
    refresh_families (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        client_id -> Uuid,
        member_id -> Uuid,
        scopes -> Array<Text>,
        generation -> Int8,
        rotated_at -> Timestamptz,
        idle_seconds -> Nullable<Int4>,
        epoch -> Int8,
        decided_at -> Int8,
        created_at -> Timestamptz,
        ended_at -> Nullable<Timestamptz>,
        ended_why -> Nullable<Text>,
    }
}

diesel::table! {
    resource_server_introspectors (tenant_id, resource_server_id, client_id) {
        tenant_id -> Uuid,
        resource_server_id -> Uuid,
        client_id -> Uuid,
    }
}

diesel::table! {
    resource_server_keys (tenant_id, key) {
        tenant_id -> Uuid,
        key -> Text,
    }
}

diesel::table! {
    resource_server_scopes (tenant_id, resource_server_id, scope) {
        tenant_id -> Uuid,
        resource_server_id -> Uuid,
        scope -> Text,
        description -> Text,
        platform_wide -> Bool,
        needs_permission -> Nullable<Text>,
        deprecated -> Bool,
    }
}

diesel::table! {
    resource_servers (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        key -> Text,
        identifier -> Text,
        name -> Text,
        verification -> Text,
        lifetime_cap_seconds -> Nullable<Int4>,
        revision -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        platform_wide -> Bool,
        token_format -> Text,
        signing_algorithm -> Text,
    }
}

diesel::table! {
    role_assignments (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        member_id -> Nullable<Uuid>,
        client_id -> Nullable<Uuid>,
        role -> Text,
        organization_id -> Uuid,
        created_at -> Timestamptz,
        role_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    roles (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        name -> Text,
        description -> Text,
        permissions -> Array<Text>,
        revision -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    rotation_marks (tenant_id, organization_id) {
        tenant_id -> Uuid,
        organization_id -> Uuid,
        marked_at -> Timestamptz,
        cause -> Text,
        former_owner -> Uuid,
    }
}

diesel::table! {
    signing_keys (tenant_id, kid) {
        tenant_id -> Uuid,
        kid -> Text,
        id -> Uuid,
        algorithm -> Text,
        generation -> Int4,
        public_jwk -> Jsonb,
        sealed_private_key -> Bytea,
        created_at -> Timestamptz,
        signs_from -> Timestamptz,
        published_until -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    spare_keys (id) {
        id -> Uuid,
        algorithm -> Text,
        sealed_private_key -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    suspensions (tenant_id, subject_id) {
        tenant_id -> Uuid,
        subject_id -> Uuid,
        paused_by_tenant_at -> Nullable<Timestamptz>,
        paused_by_tenant_reason -> Nullable<Text>,
        paused_by_operator_at -> Nullable<Timestamptz>,
        paused_by_operator_reason -> Nullable<Text>,
        deleted_at -> Nullable<Timestamptz>,
        cut_below -> Int8,
    }
}

diesel::table! {
    tenant_quotas (tenant_id) {
        tenant_id -> Uuid,
        organizations -> Nullable<Int4>,
        members -> Nullable<Int4>,
        clients -> Nullable<Int4>,
        resource_servers -> Nullable<Int4>,
        roles -> Nullable<Int4>,
        client_tokens_per_minute -> Nullable<Int4>,
        client_max_live_tokens -> Nullable<Int4>,
    }
}

diesel::table! {
    tenant_settings (tenant_id) {
        tenant_id -> Uuid,
        default_access_token_seconds -> Int4,
        invitation_seconds -> Int4,
        password_reset_seconds -> Int4,
        password_min_length -> Int4,
        credential_page -> Nullable<Text>,
        support_name -> Nullable<Text>,
        support_email -> Nullable<Text>,
        revision -> Int8,
        updated_at -> Timestamptz,
        allow_chosen_secrets -> Bool,
        sustained_errors_threshold -> Int4,
        sustained_errors_window_seconds -> Int4,
        default_tokens_per_minute -> Nullable<Int4>,
        default_max_live_tokens -> Nullable<Int4>,
    }
}

diesel::table! {
    tenant_suspensions (tenant_id) {
        tenant_id -> Uuid,
        paused_by_operator_at -> Nullable<Timestamptz>,
        paused_by_operator_reason -> Nullable<Text>,
        deleted_at -> Nullable<Timestamptz>,
        cut_below -> Int8,
        purged_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    tenant_usage (tenant_id, what) {
        tenant_id -> Uuid,
        what -> Text,
        used -> Int8,
    }
}

diesel::table! {
    tenants (id) {
        id -> Uuid,
        name -> Text,
        issuer -> Text,
        is_platform -> Bool,
        root_organization_id -> Uuid,
        revision -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        root_owner_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    user_agents (tenant_id, id) {
        tenant_id -> Uuid,
        id -> Uuid,
        name -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    access_tokens,
    audit_events,
    authenticators,
    change_feed,
    changes,
    client_alerts,
    client_enablements,
    client_failures,
    client_secrets,
    client_words,
    clients,
    credential_links,
    deliveries,
    idempotency_records,
    installation,
    last_uses,
    member_words,
    members,
    organizations,
    parted_tables,
    refresh_families,
    resource_server_introspectors,
    resource_server_keys,
    resource_server_scopes,
    resource_servers,
    role_assignments,
    roles,
    rotation_marks,
    signing_keys,
    spare_keys,
    suspensions,
    tenant_quotas,
    tenant_settings,
    tenant_suspensions,
    tenant_usage,
    tenants,
    user_agents,
);
