import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** The driver for Vulkan that Debian's Chromium brings: it computes on the CPU, slowly and rightly. */
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';

/** In the path of root alone. */
const LDCONFIG = '/sbin/ldconfig';
const hasLoader = /libvulkan\.so\.1/.test(spawnSync(LDCONFIG, ['-p'], { encoding: 'utf8' }).stdout ?? '');

/**
 * The settings that a process needs to find a driver for Vulkan: those it has, or else Chromium's. null where there is no
 * loader or no driver: what needs WebGPU is skipped and says so in its name.
 */
export const vulkan: Readonly<Record<string, string>> | null = !hasLoader
  ? null
  : process.env.VK_ICD_FILENAMES || process.env.VK_DRIVER_FILES
    ? {}
    : existsSync(SWIFTSHADER)
      ? { VK_ICD_FILENAMES: SWIFTSHADER }
      : null;

/** For what starts from this process' environment. */
export function useVulkan(): void {
  Object.assign(process.env, vulkan);
}

export const needsVulkan = 'needs a Vulkan loader and driver, as libvulkan1 and chromium bring';
