-- By which program a token was asked for. Many tokens come from few programs, so each row of access_tokens holds a number,
-- and the name stands here, once for a tenant and a day. The id is made of the day on which such tokens expire and of the
-- number, which is a hash of the name: it leaves with the tokens, and nobody has to look it up to write it.
CREATE TABLE user_agents (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (tenant_id, id)
) PARTITION BY RANGE (id);
INSERT INTO parted_tables (name, span, ahead) VALUES ('user_agents', '1 day', '8 days');
ALTER TABLE user_agents ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_agents FORCE ROW LEVEL SECURITY;
GRANT SELECT ON user_agents TO grantor_tenant;
GRANT SELECT, INSERT ON user_agents TO grantor_fast;
CREATE POLICY own ON user_agents FOR SELECT TO grantor_tenant USING (tenant_id = grantor.current_tenant());
CREATE POLICY fast ON user_agents FOR ALL TO grantor_fast USING (true);

-- Servers of before still write user_agent, and what they wrote is still told.
ALTER TABLE access_tokens ADD COLUMN user_agent_number bigint;
