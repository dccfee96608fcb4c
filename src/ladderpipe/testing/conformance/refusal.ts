/** What an event says cannot be used: it is set aside. */
export class Refusal extends Error {}
