// Tells what happens. An event carries an id and no more: what it is about is fetched.
const { cartMessages, orderMessages, send } = require('../lib/ladderpipe');

module.exports = {
  default: async ({ event: { name, data: { id } }, container }) => {
    const messages = name.startsWith('cart.') ? cartMessages : orderMessages;
    // All that there is: what is told twice counts once, and what got lost before is made good.
    for (const message of await messages(container, id)) await send(message);
  },
  config: { event: ['cart.created', 'cart.updated', 'cart.customer_updated', 'order.placed', 'order.updated', 'order.canceled'] },
};
