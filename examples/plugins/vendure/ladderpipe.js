// Tells a ladderpipe receiver what happens to carts and orders, signed by Standard Webhooks.
//
//   plugins: [LadderpipePlugin.init({ url: 'https://here/vendure', secret: 'whsec_…', shop: 'shop.example' })]
//
// Each message is a job of the shop's queue, so it is tried again until it is stored.
const crypto = require('node:crypto');
const core = require('@vendure/core');

// Emptying a cart and merging two publish no event, but others are asked before: they publish one,
// which subscribers get after the commit.
class CartEmptied extends core.VendureEvent {
  constructor(ctx, order) { super(); Object.assign(this, { ctx, order }); }
}
class TellsWhenEmptied {
  init(injector) { this.events = injector.get(core.EventBus); }
  willRemoveItemFromOrder(ctx, order) { this.events.publish(new CartEmptied(ctx, order)); }
}
class CartMerged extends core.VendureEvent {
  constructor(ctx, order, into) { super(); Object.assign(this, { ctx, order, into }); }
}
class TellsWhenMerged {
  constructor(own) { this.own = own; }
  init(injector) { this.events = injector.get(core.EventBus); return this.own.init?.(injector); }
  destroy() { return this.own.destroy?.(); }
  merge(ctx, guests, existing) {
    this.events.publish(new CartMerged(ctx, guests, existing));
    return this.own.merge(ctx, guests, existing);
  }
}

class LadderpipePlugin {
  static init(options) { LadderpipePlugin.options = options; return LadderpipePlugin; }
  constructor(events, orders, queues) { Object.assign(this, { events, orders, queues }); }

  async onApplicationBootstrap() {
    this.queue = await this.queues.createQueue({ name: 'ladderpipe', process: job => this.tell(job.data) });
    const on = (event, of) => this.events.ofType(event).subscribe(e => {
      const told = of(e);
      if (!told) return;
      const { id, code } = e.order || e.entity;
      this.queue.add({ ctx: e.ctx.serialize(), id, code, at: e.createdAt.toISOString(), ...told }, { retries: 20 });
    });
    on(core.OrderLineEvent, () => ({ type: 'cart.updated' }));
    on(core.OrderEvent, e => e.type === 'updated' && { type: 'cart.updated' });
    on(CartEmptied, () => ({ type: 'cart.updated' }));
    on(CartMerged, e => ({ type: 'cart.merged', fact: 'merged', into: e.into.code }));
    on(core.OrderPlacedEvent, () => ({ type: 'order.confirmed', fact: 'placed' }));
    on(core.OrderStateTransitionEvent, e => ({
      AddingItems: { type: 'cart.updated' },
      ArrangingPayment: { type: 'checkout.started', fact: `checkout@${e.createdAt.toISOString()}` },
      Cancelled: { type: 'order.cancelled', fact: 'cancelled' },
    })[e.toState]);
    on(core.PaymentStateTransitionEvent, e => ['Declined', 'Error'].includes(e.toState)
      && { type: 'payment.failed', fact: `payment:${e.payment.id}` });
    on(core.RefundStateTransitionEvent, e => e.toState === 'Settled'
      && { type: 'order.refunded', fact: `refund:${e.refund.id}`, refunded: money(e.refund.total) });
  }

  async tell({ ctx, id, code, at, type, fact, refunded, into }) {
    const { shop } = LadderpipePlugin.options;
    const deal = `${shop}/${code}`;
    if (into) return send(`${code}:${fact}`, { type, timestamp: at, deal, data: { into: `${shop}/${into}` } });
    const read = new Date().toISOString(); // a snapshot is as of when it was read, not of what triggered it
    const order = await this.orders.findOne(core.RequestContext.deserialize(ctx), id);
    if (!order || (type === 'cart.updated' && order.state !== 'AddingItems')) return;
    const lines = order.lines.filter(line => line.quantity > 0).map(line => ({
      sku: line.productVariant.sku, title: line.productVariant.name,
      quantity: line.quantity, unit_price: money(line.proratedUnitPriceWithTax),
    }));
    const data = refunded ? { refunded } : { contact: contact(order.customer) };
    if (type === 'cart.updated' || type === 'order.confirmed') data.cart = { currency: order.currencyCode, lines };
    if (type === 'order.confirmed') Object.assign(data, { value: money(order.totalWithTax), currency: order.currencyCode });
    await send(`${code}:${fact || `cart@${read}`}`, { type, timestamp: fact ? at : read, deal, data });
  }
}

const money = minor => (minor / 100).toFixed(2);
const contact = customer => customer ? {
  id: String(customer.id), email: customer.emailAddress, name: `${customer.firstName} ${customer.lastName}`.trim(),
} : {};

async function send(id, message) {
  const { url, secret } = LadderpipePlugin.options;
  const body = JSON.stringify(message);
  const sent = Math.floor(Date.now() / 1000);
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const signature = crypto.createHmac('sha256', key).update(`${id}.${sent}.${body}`).digest('base64');
  const headers = { 'content-type': 'application/json', 'webhook-id': id, 'webhook-timestamp': `${sent}`, 'webhook-signature': `v1,${signature}` };
  const answer = await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(10_000) });
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`); // the queue tries again
}

Reflect.defineMetadata('design:paramtypes', [core.EventBus, core.OrderService, core.JobQueueService], LadderpipePlugin);
core.VendurePlugin({
  imports: [core.PluginCommonModule],
  compatibility: '^3.0.0',
  configuration: config => {
    config.orderOptions.orderInterceptors.push(new TellsWhenEmptied());
    config.orderOptions.mergeStrategy = new TellsWhenMerged(config.orderOptions.mergeStrategy);
    return config;
  },
})(LadderpipePlugin);

module.exports = { LadderpipePlugin };
