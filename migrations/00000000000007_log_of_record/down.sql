DROP TABLE changes;
DROP TABLE audit_events;
DROP FUNCTION append_change();
DROP SEQUENCE changes_sequence;
