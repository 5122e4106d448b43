/** The seed of a run's random tests: it is printed. Set it in the environment (SEED=…) to repeat a run. */
const given = typeof process === "undefined" ? undefined : process.env["SEED"];

export const SEED = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);

console.log(`SEED=${SEED}`);
