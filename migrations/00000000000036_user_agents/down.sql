ALTER TABLE access_tokens DROP COLUMN user_agent_number;
DELETE FROM parted_tables WHERE name = 'user_agents';
DROP TABLE user_agents;
