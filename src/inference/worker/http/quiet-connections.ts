import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import type { AttentiveClock } from '../attentive-clock.ts';

/** Longer than clients keep an idle connection, so that it is they who end it and no request meets the end. */
const QUIET_MS = 70_000;

/**
 * Ends connections on which no request is under way for 70 s: forgotten ones, and those that send the head of a request a
 * byte at a time. Node's own timeouts go by a wall clock, and would end those whose request has come while the process stood
 * still.
 */
export function endQuietConnections(server: Server, connected: string, clock: AttentiveClock): void {
  const quietSince = new Map<Duplex, number>();
  const underWay = new Map<Duplex, number>();
  server.on(connected, (socket: Duplex) => {
    quietSince.set(socket, clock.now);
    socket.once('close', () => {
      quietSince.delete(socket);
      underWay.delete(socket);
    });
  });
  server.on('request', ({ socket }: { socket: Duplex }, response: NodeJS.EventEmitter) => {
    quietSince.delete(socket);
    underWay.set(socket, (underWay.get(socket) ?? 0) + 1);
    response.once('close', () => {
      const others = (underWay.get(socket) ?? 1) - 1;
      if (others > 0) {
        underWay.set(socket, others);
        return;
      }
      underWay.delete(socket);
      if (!socket.destroyed) quietSince.set(socket, clock.now);
    });
  });
  clock.watch(() => {
    for (const [socket, since] of quietSince) {
      if (clock.now - since > QUIET_MS) socket.destroy();
    }
  });
}
