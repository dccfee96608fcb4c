// Answers what there is to tell of carts and orders that have changed: whoever missed some can ask.
const { cartMessages, orderMessages, isSigned } = require('../../lib/ladderpipe');

const PAGE = 50;
const ids = (found, of) => found.map(of).filter(Boolean);

module.exports.GET = async (request, response) => {
  const query = request.originalUrl.split('?')[1] || '';
  if (!isSigned(request.headers, query)) return response.sendStatus(401);
  const asked = new URLSearchParams(query);
  const changed = { updated_at: { $gte: new Date(asked.get('since')) } };
  const [carts, orders] = ['cart', 'order'].map(name => request.scope.resolve(name));
  // A cart stays as it is while its lines change, and a line that is taken out is kept, marked as deleted.
  const found = new Set([
    ...ids(await carts.listCarts(changed, { select: ['id'], take: null }), cart => cart.id),
    ...ids(await carts.listLineItems(changed, { select: ['id', 'cart_id'], take: null, withDeleted: true }), line => line.cart_id),
    ...ids(await orders.listOrders(changed, { select: ['id'], take: null }), order => order.id),
  ]);
  const rest = [...found].sort().filter(id => id > (asked.get('after') || ''));
  const page = rest.slice(0, PAGE);
  const messages = [];
  for (const id of page) messages.push(...await (id.startsWith('cart_') ? cartMessages : orderMessages)(request.scope, id));
  response.json({ messages, next: page.length < rest.length ? page.at(-1) : null });
};
