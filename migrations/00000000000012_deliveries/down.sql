DROP TABLE deliveries;
DELETE FROM parted_tables WHERE name = 'deliveries';
