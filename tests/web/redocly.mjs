// SPDX-License-Identifier: AGPL-3.0-or-later
// Redocly's linter without its command: `node redocly.mjs openapi.json` prints what it finds and fails when there is anything.
import { lint, loadConfig } from "@redocly/openapi-core";

const config = await loadConfig({ configPath: new URL("redocly.yaml", import.meta.url).pathname });
const problems = await lint({ ref: process.argv[2], config });
for (const problem of problems) {
	console.log(`${problem.severity} ${problem.ruleId} ${problem.location[0]?.pointer ?? ""}: ${problem.message}`);
}
process.exitCode = problems.length > 0 ? 1 : 0;
