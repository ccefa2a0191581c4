CREATE TABLE `backfills` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`json` text NOT NULL,
	`members` text NOT NULL,
	`progress` text NOT NULL
);
