DROP INDEX organizations_by_name;
