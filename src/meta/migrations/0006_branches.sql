CREATE TABLE `branch_files` (
	`name` text NOT NULL,
	`version` integer NOT NULL,
	`file` text NOT NULL,
	`hash` text NOT NULL,
	`bytes` integer NOT NULL,
	PRIMARY KEY(`name`, `version`, `file`)
);
--> statement-breakpoint
CREATE TABLE `branch_versions` (
	`name` text NOT NULL,
	`version` integer NOT NULL,
	`hash` text NOT NULL,
	`author` text NOT NULL,
	`message` text NOT NULL,
	`created_at_micros` integer NOT NULL,
	`lateness_ms` integer NOT NULL,
	`dialect` text NOT NULL,
	`faults` integer NOT NULL,
	PRIMARY KEY(`name`, `version`)
);
--> statement-breakpoint
CREATE TABLE `branches` (
	`name` text PRIMARY KEY NOT NULL,
	`version` integer NOT NULL,
	`is_selected` integer DEFAULT false NOT NULL
);
--> statement-breakpoint
CREATE TABLE `definition_texts` (
	`hash` text PRIMARY KEY NOT NULL,
	`packed` blob NOT NULL
);
