// Drawn by hand, on a grid of 20.

const Icon = ({ children }) => (
  <svg class="icon" viewBox="0 0 20 20" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round"
    stroke-linejoin="round" aria-hidden="true">{children}</svg>
);

export const BackIcon = () => <Icon><path d="M12 4l-6 6 6 6" /></Icon>;
export const SendIcon = () => <Icon><path d="M3 10l14-6-5 13-3-5z" /><path d="M9 12l8-8" /></Icon>;
export const PersonIcon = () => <Icon><circle cx="10" cy="7" r="3.2" /><path d="M3.5 17c.8-3.4 3.2-5 6.5-5s5.7 1.6 6.5 5" /></Icon>;
export const LeaveIcon = () => <Icon><path d="M8 4H4.5v12H8" /><path d="M8.5 10H17M13.5 6.5L17 10l-3.5 3.5" /></Icon>;
export const CloseIcon = () => <Icon><path d="M5 5l10 10M15 5L5 15" /></Icon>;
export const DownIcon = () => <Icon><path d="M10 4v12M5 11l5 5 5-5" /></Icon>;
export const LogoIcon = () => (
  <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="9" fill="var(--accent)" />
    <path d="M8 9.5h16a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H14l-5 4v-4H8a2 2 0 0 1-2-2v-8a2 2 0 0 1 2-2z" fill="var(--on-accent)" />
    <path d="M11 14h10M11 17.5h6" stroke="var(--accent)" stroke-width="2" stroke-linecap="round" />
  </svg>
);
