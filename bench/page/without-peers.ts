/** The bench's page as long as the peers are not installed. */
import { doJobs } from "./jobs.ts";

void doJobs([]);
