//! `schema.rs` is what the migrated database says.

use std::fmt::Write as _;
use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use grantor_test_support::TestDatabase;

use crate::support::texts;

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    of_table: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Bool)]
    required: bool,
}

/// One table as the catalogue has it.
struct Table {
    name: String,
    key: Vec<String>,
    columns: Vec<Column>,
}

const HEADER: &str = "\
// Generated from the migrated database. Do not edit; write it anew with
// `GRANTOR_WRITE_SCHEMA=1 cargo test -p grantor-storage schema`.
";

fn tables() -> Vec<Table> {
    let test = TestDatabase::new();
    let mut connection = test.superuser();
    let columns: Vec<Column> = diesel::sql_query(
        "SELECT relname::text AS of_table, attname::text AS name, \
                format_type(atttypid, atttypmod) AS kind, attnotnull AS required \
         FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid \
         WHERE relnamespace = 'grantor'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition \
           AND relname <> '__diesel_schema_migrations' AND attnum > 0 AND NOT attisdropped \
         ORDER BY relname COLLATE \"C\", attnum",
    )
    .load(&mut connection)
    .unwrap();
    let mut tables: Vec<Table> = Vec::new();
    for column in columns {
        match tables
            .last_mut()
            .filter(|table| table.name == column.of_table)
        {
            Some(table) => table.columns.push(column),
            None => tables.push(Table {
                name: column.of_table.clone(),
                key: key_of(&mut connection, &column.of_table),
                columns: vec![column],
            }),
        }
    }
    tables
}

fn key_of(connection: &mut PgConnection, table: &str) -> Vec<String> {
    texts(
        connection,
        &format!(
            "SELECT attname FROM pg_constraint CROSS JOIN unnest(conkey) WITH ORDINALITY AS part (number, place) \
             JOIN pg_attribute ON attrelid = conrelid AND attnum = part.number \
             WHERE contype = 'p' AND conrelid = 'grantor.{table}'::regclass ORDER BY place"
        ),
    )
}

/// diesel's name of a type.
fn diesels(kind: &str) -> String {
    if let Some(element) = kind.strip_suffix("[]") {
        return format!("Array<{}>", diesels(element));
    }
    let name = match kind {
        "bigint" => "Int8",
        "boolean" => "Bool",
        "bytea" => "Bytea",
        "integer" => "Int4",
        "interval" => "Interval",
        "jsonb" => "Jsonb",
        "smallint" => "Int2",
        "text" => "Text",
        "timestamp with time zone" => "Timestamptz",
        "uuid" => "Uuid",
        other => panic!("say here which of diesel's types {other} is"),
    };
    name.to_owned()
}

/// The file for these tables, laid out as rustfmt leaves it.
fn written(tables: &[Table]) -> String {
    let mut file = HEADER.to_owned();
    for table in tables {
        let key = table.key.join(", ");
        write!(file, "\ndiesel::table! {{\n    {} ({key}) {{\n", table.name).unwrap();
        for column in &table.columns {
            let mut kind = diesels(&column.kind);
            if !column.required {
                kind = format!("Nullable<{kind}>");
            }
            writeln!(file, "        {} -> {kind},", column.name).unwrap();
        }
        file.push_str("    }\n}\n");
    }
    file.push_str("\ndiesel::allow_tables_to_appear_in_same_query!(\n");
    for table in tables {
        writeln!(file, "    {},", table.name).unwrap();
    }
    file.push_str(");\n");
    file
}

#[test]
fn schema_rs_is_what_the_migrated_database_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/schema.rs");
    let wanted = written(&tables());
    if std::env::var_os("GRANTOR_WRITE_SCHEMA").is_some_and(|value| value == "1") {
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap();
    let differs = (1..)
        .zip(wanted.lines().zip(found.lines()))
        .find(|(_, (wanted, found))| wanted != found);
    assert!(
        found == wanted,
        "crates/storage/src/schema.rs is not what the migrations make: {differs:?}; \
         run `GRANTOR_WRITE_SCHEMA=1 cargo test -p grantor-storage schema`"
    );
}

#[test]
fn arrays_and_plain_types_have_diesels_names() {
    assert_eq!(diesels("uuid[]"), "Array<Uuid>");
    assert_eq!(diesels("timestamp with time zone"), "Timestamptz");
}
