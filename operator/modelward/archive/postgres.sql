-- Durable storage of modelward's audit records in PostgreSQL 12 or later. Run it once as the owner of the database, who must
-- not be the operator's role: the owner of a table can switch its triggers off.

CREATE TABLE modelward_audit_record (
    namespace text NOT NULL,
    model     text NOT NULL,
    seq       bigint NOT NULL CHECK (seq > 0),
    hash      text NOT NULL,
    prev_hash text NOT NULL,
    document  text NOT NULL,          -- the record in its RFC 8785 form: the very bytes that are hashed
    stored_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    previous  bigint GENERATED ALWAYS AS (NULLIF(seq - 1, 0)) STORED,
    PRIMARY KEY (namespace, model, seq),
    UNIQUE (namespace, model, seq, hash),
    CHECK ((seq = 1) = (prev_hash = '')),
    -- The database itself refuses a record that does not follow the one before it.
    FOREIGN KEY (namespace, model, previous, prev_hash) REFERENCES modelward_audit_record (namespace, model, seq, hash)
);

CREATE TABLE modelward_audit_checkpoint (
    namespace text NOT NULL,
    model     text NOT NULL,
    seq       bigint NOT NULL,
    document  text NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (namespace, model, seq)
);

CREATE FUNCTION modelward_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: audit records are only ever added', TG_OP, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER modelward_audit_record_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON modelward_audit_record
    FOR EACH STATEMENT EXECUTE FUNCTION modelward_audit_refuse();
CREATE TRIGGER modelward_audit_checkpoint_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON modelward_audit_checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION modelward_audit_refuse();

GRANT SELECT, INSERT ON modelward_audit_record, modelward_audit_checkpoint TO {role};
